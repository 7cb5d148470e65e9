"""How each initializer changed between studies that share workloads."""

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import LEVEL
from initbench.analysis.statistics.pairs import compare, holm, same_as
from initbench.analysis.statistics.row_swaps import swaps
from initbench.analysis.verdict.sentence import join
from initbench.metric import Metric

AT = " @ "  # between an initializer and its study, where several have it


def between_studies(comparison: Comparison) -> pd.DataFrame:
    """One row per initializer and pair of studies that have it, in their order: see `pairs.compare`.

    Columns: init, before, after, pairs, difference (after - before) with low and high, p, is_same (in every run) and
    p_holm, over these rows alone: the question was not which of all is the best. Empty for a single study.
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
        swapped = swaps(comparison.runs, scores).p
        (row,) = compare(scores, comparisons=len(questions), swapped=swapped).to_dict("records")
        sign = 1 if row["a"] == after else -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        is_same = same_as(scores, after) == [before]
        numbers = (int(row["pairs"]), sign * row["difference"], low, high, row["p"], is_same)
        rows.append((base, study_before, study_after, *numbers))
    columns = ["init", "before", "after", "pairs", "difference", "low", "high", "p", "is_same"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=holm(table["p"]))


def what_changed(changed: pd.DataFrame, metric: Metric) -> Iterator[tuple[str, bool]]:
    """For each two studies a sentence, and whether it claims anything: what is better, worse, and the same."""
    for (before, after), rows in changed.groupby(["before", "after"], sort=False):
        is_same, is_sure = rows["is_same"], rows["p_holm"] < LEVEL
        parts = []
        for word, of in (("better", is_sure & (rows["difference"] > 0)), ("worse", is_sure & (rows["difference"] < 0))):
            if of.any():
                parts.append(f"{_list(rows[of], metric)} {'is' if of.sum() == 1 else 'are'} {word}")
        if len(unsure := rows[~is_same & ~is_sure]):
            parts.append(f"no difference was shown for {_list(unsure, metric)}")
        if is_same.any():
            has = "has" if is_same.sum() == 1 else "have"
            parts.append(f"{join(rows.loc[is_same, 'init'])} {has} the same score in every run")
        yield f"From {before} to {after}, {'; '.join(parts)}.", bool((is_sure & ~is_same).any())


def only_in_one(comparison: Comparison, changed: pd.DataFrame) -> list[tuple[str, str]]:
    """The initializers that are not compared between studies, and why."""
    found = []
    for init, runs in comparison.runs.groupby("init", sort=False):
        studies = list(map(str, runs["study"].unique()))
        if str(init).removesuffix(AT + studies[0]) not in set(changed["init"]):
            found.append((str(init), f"only in {studies[0]}" if len(studies) == 1 else "on different workloads"))
    return found


def _list(rows: pd.DataFrame, metric: Metric, most: int = 8) -> str:
    return join([_change(row, metric) for _, row in rows.iterrows()], most=most)


def _change(row: pd.Series, metric: Metric) -> str:
    if not row["pairs"]:
        return f"{row['init']} (no seed in common)"
    known = not math.isnan(row["low"])
    interval = f"; 95 % interval {metric.number(row['low'], '+')} to {metric.number(row['high'], '+')}" if known else ""
    unit = f" {metric.points}".rstrip()
    seeds = f"{row['pairs']} pair{'s' if row['pairs'] != 1 else ''} of runs"
    return f"{row['init']} ({metric.number(row['difference'], '+')}{unit} over {seeds}{interval})"
