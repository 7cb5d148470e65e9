"""How each initializer changed between studies that share workloads."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.findings import LEVEL
from initbench.analysis.pairs import compare, holm
from initbench.metric import Metric

AT = " @ "  # between an initializer and its study, where several have it


def between_studies(comparison: Comparison) -> pd.DataFrame:
    """One row per initializer and pair of studies that have it, in their order: see `pairs.compare`.

    Columns: init, before, after, pairs, difference (after - before) with low and high, p, p_holm over these rows alone:
    the question was not which of all is the best. Empty for a single study.
    """
    order = list(dict.fromkeys(comparison.runs["study"]))
    versions: dict[str, list[str]] = defaultdict(list)
    for init in sorted(map(str, comparison.scores.columns), key=lambda init: _place(init, order)):
        base, at, _ = init.rpartition(AT)
        if at:
            versions[base].append(init)
    questions = [(base, *pair) for base, inits in versions.items() for pair in combinations(inits, 2)]
    rows = []
    for base, before, after in questions:
        (row,) = compare(comparison.scores[[before, after]], comparisons=len(questions)).to_dict("records")
        sign = 1 if row["a"] == after else -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        studies = (name.rpartition(AT)[2] for name in (before, after))
        rows.append((base, *studies, int(row["pairs"]), sign * row["difference"], low, high, row["p"]))
    table = pd.DataFrame(rows, columns=["init", "before", "after", "pairs", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"]))


def compared(changed: pd.DataFrame, metric: Metric) -> Iterator[tuple[str, bool]]:
    """For each two studies a sentence, and whether it claims anything: what is better, worse, and the same."""
    for (before, after), rows in changed.groupby(["before", "after"], sort=False):
        is_same, is_sure = rows["difference"].abs() < 1e-10, rows["p_holm"] < LEVEL
        parts = []
        for word, of in (("better", is_sure & (rows["difference"] > 0)), ("worse", is_sure & (rows["difference"] < 0))):
            if of.any():
                parts.append(f"{word}: {_list(rows[of], metric)}")
        if len(unsure := rows[~is_same & ~is_sure]):
            parts.append(f"no difference shown: {_list(unsure, metric)}")
        if is_same.any():
            parts.append(f"identical: {', '.join(map(str, rows.loc[is_same, 'init']))}")
        yield f"From {before} to {after}: {'; '.join(parts)}.", bool((is_sure & ~is_same).any())


def _list(rows: pd.DataFrame, metric: Metric, most: int = 8) -> str:
    shown = [_change(row, metric) for _, row in rows.iloc[:most].iterrows()]
    return ", ".join([*shown, *([f"{len(rows) - most} more"] if len(rows) > most else [])])


def _change(row: pd.Series, metric: Metric) -> str:
    if not row["pairs"]:
        return f"{row['init']} (no seed in common)"
    known = not math.isnan(row["low"])
    interval = f"; 95 % interval {metric.number(row['low'], '+')} to {metric.number(row['high'], '+')}" if known else ""
    unit = f" {metric.points}".rstrip()
    seeds = f"{row['pairs']} pair{'s' if row['pairs'] != 1 else ''} of runs"
    return f"{row['init']} ({metric.number(row['difference'], '+')}{unit} over {seeds}{interval})"


def _place(init: str, studies: Sequence[str]) -> int:
    study = init.rpartition(AT)[2]
    return studies.index(study) if study in studies else len(studies)
