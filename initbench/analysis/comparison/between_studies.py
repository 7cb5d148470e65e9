"""How each initializer changed between studies that share workloads."""

from collections import defaultdict
from itertools import combinations

import pandas as pd

from initbench.analysis.comparison.chosen_rates import chosen_rates
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.studies import AT
from initbench.analysis.statistics.pairs import compare, holm, same_as


def between_studies(comparison: Comparison) -> pd.DataFrame:
    """One row per initializer and pair of studies that have it, in their order; see `statistics.pairs.compare`.

    Columns: init, before, after, pairs, difference (after - before) with low and high, p, is_same (in every run) and
    p_holm, corrected over these rows alone, since nobody asked which initializer is the best. Empty for a single study.
    """
    order = list(dict.fromkeys(map(str, comparison.runs["study"])))
    versions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    named = set(map(str, comparison.scores.columns))
    for study in order:
        inits = comparison.runs.loc[comparison.runs["study"] == study, "init"].drop_duplicates()
        for init in sorted(of for of in map(str, inits) if of in named and of.endswith(AT + study)):
            versions[init.removesuffix(AT + study)].append((study, init))
    questions = [(base, *pair) for base, of in sorted(versions.items()) for pair in combinations(of, 2)]
    rows = []
    for base, (study_before, before), (study_after, after) in questions:
        scores = comparison.scores[[before, after]]
        swapped = chosen_rates(comparison.runs, scores).p
        (row,) = compare(scores, comparisons=len(questions), swapped=swapped).to_dict("records")
        sign = 1 if row["a"] == after else -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        is_same = same_as(scores, after) == [before]
        numbers = (int(row["pairs"]), sign * row["difference"], low, high, row["p"], is_same)
        rows.append((base, study_before, study_after, *numbers))
    columns = ["init", "before", "after", "pairs", "difference", "low", "high", "p", "is_same"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=holm(table["p"]))


def only_in_one(comparison: Comparison, changed: pd.DataFrame) -> list[tuple[str, str]]:
    """The initializers that are not compared between studies, and why."""
    found = []
    for init, runs in comparison.runs.groupby("init", sort=False):
        studies = list(map(str, runs["study"].unique()))
        if str(init).removesuffix(AT + studies[0]) not in set(changed["init"]):
            found.append((str(init), f"only in {studies[0]}" if len(studies) == 1 else "on different workloads"))
    return found
