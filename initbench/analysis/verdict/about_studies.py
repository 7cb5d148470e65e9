"""What became better or worse from one study to the next, in sentences."""

import math
from collections.abc import Iterator

import pandas as pd

from initbench.analysis.comparison.evidence import LEVEL
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.metric import Metric
from initbench.wording import count


def about_studies(changed: pd.DataFrame, metric: Metric) -> Iterator[Sentence]:
    """A sentence for every two studies; `changed` as from `between_studies`."""
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
        kind = "change" if (is_sure & ~is_same).any() else "unchanged"
        yield Sentence(kind, f"From {before} to {after}, {'; '.join(parts)}.")


def _list(rows: pd.DataFrame, metric: Metric, most: int = 8) -> str:
    return join([_change(row, metric) for _, row in rows.iterrows()], most=most)


def _change(row: pd.Series, metric: Metric) -> str:
    if not row["pairs"]:
        return f"{row['init']} (no seed in common)"
    known = not math.isnan(row["low"])
    interval = f"; 95% interval {metric.number(row['low'], '+')} to {metric.number(row['high'], '+')}" if known else ""
    unit = f" {metric.points}".rstrip()
    seeds = f"{count(row['pairs'], 'pair')} of runs"
    return f"{row['init']} ({metric.number(row['difference'], '+')}{unit} over {seeds}{interval})"
