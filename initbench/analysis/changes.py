"""What became of each initializer from one study to another, where two hold the same tasks."""

from collections import defaultdict
from itertools import combinations

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.paired import holm

AT = " @ "  # between an initializer and its study, where several have it


def changes(comparison: Comparison) -> pd.DataFrame:
    """A row for each initializer and two studies that have it, in their order: see `paired.compare`.

    Columns: init, before, after, pairs, difference (after - before) with low and high, p, p_holm over these rows alone:
    the question was not which of all is the best. Empty for a single study.
    """
    order = list(dict.fromkeys(comparison.runs["study"]))
    versions: dict[str, list[str]] = defaultdict(list)
    for init in sorted(map(str, comparison.scores.columns), key=lambda init: _place(init, order)):
        base, at, _ = init.rpartition(AT)
        if at:
            versions[base].append(init)
    pairs = {frozenset((row["a"], row["b"])): row for _, row in comparison.pairs.iterrows()}
    rows = []
    for base, inits in versions.items():
        for before, after in combinations(inits, 2):
            row = pairs[frozenset((before, after))]
            sign = 1 if row["a"] == after else -1
            low, high = sorted((sign * row["low"], sign * row["high"]))
            studies = (name.rpartition(AT)[2] for name in (before, after))
            rows.append((base, *studies, int(row["pairs"]), sign * row["difference"], low, high, row["p"]))
    table = pd.DataFrame(rows, columns=["init", "before", "after", "pairs", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"]))


def _place(init: str, studies: list[str]) -> int:
    study = init.rpartition(AT)[2]
    return studies.index(study) if study in studies else len(studies)
