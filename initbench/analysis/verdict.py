"""The answer in a few plain sentences: which initializer, by how much, how sure, and where it changes."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.paired import blocks_needed
from initbench.analysis.ranking import Ranking

LEVEL = 0.05


def verdict(comparison: Comparison) -> list[str]:
    """Sentences, the first of which answers the question. Differences are in percentage points of test accuracy."""
    overall = comparison.overall
    if overall.empty:
        return ["Nothing can be compared: no initializer has a run that ended in every task."]
    if len(overall) == 1:
        return [f"{overall.index[0]} is the only initializer, so there is nothing to compare it with."]
    return [_winner(comparison), *_against_others(comparison), *_by_task(comparison), *_times(comparison)]


def _winner(comparison: Comparison) -> str:
    overall = comparison.overall
    best = overall.index[0]
    tasks = comparison.everywhere.index.get_level_values("task").nunique()
    seeds = comparison.everywhere[best].dropna().groupby(level="task").size()
    number = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    where = f"{_count(int(seeds.max()), 'seed', number)}" + (f" on each of {tasks} tasks" if tasks > 1 else "")
    mean = overall["mean"].iloc[0]
    if ties := _ties(overall):
        return f"{_join([str(best), *ties])} have the same mean test accuracy, {mean:.2%} ({where})."
    sure = overall["best"].iloc[0]
    chance = "" if math.isnan(sure) or seeds.max() == 1 else f", and the highest in {sure:.0%} of bootstrap resamples"
    return f"{best} has the highest mean test accuracy, {mean:.2%} ({where}){chance}."


def _ties(overall: pd.DataFrame) -> list[str]:
    """The initializers whose mean is that of the first."""
    return [str(init) for init in overall.index[1:] if overall.at[init, "mean"] == overall["mean"].iloc[0]]


def _against_others(comparison: Comparison) -> Iterator[str]:
    overall = comparison.overall
    best, ties = str(overall.index[0]), _ties(overall)
    subject = best if ties else "It"
    rivals = against(comparison.pairs, best)
    rivals = rivals[rivals.index.isin(overall.index.drop(ties))]
    if (unpaired := rivals[rivals["pairs"] == 0]).shape[0]:
        yield f"{subject} shares no seed with {_join(unpaired.index)}, so that these cannot be compared with it."
    rivals = rivals[rivals["pairs"] > 0]
    if rivals.empty:
        return
    is_sure, is_ahead = rivals["p_holm"] < LEVEL, rivals["difference"] > 0
    if (beaten := rivals[is_sure & is_ahead]).shape[0]:
        yield f"{subject} is better than {_join(beaten.index)} by {_span(beaten)} points (Holm-corrected p < {LEVEL})."
    if (better := rivals[is_sure & ~is_ahead]).shape[0]:  # where seeds are missing, a pair has other blocks than all
        yield f"On all runs that both have, {subject} is worse than {_join(better.index)}: see every two initializers."
    rest = rivals[~is_sure]
    apart, level = rest[rest["low"] > 0], rest[~(rest["low"] > 0)]
    tests = int(comparison.pairs["p"].notna().sum())
    pairs, needed = int(rivals["pairs"].max()), blocks_needed(tests, LEVEL)
    if len(rest) and pairs < needed:
        yield (
            f"With {_count(pairs, 'pair')} of runs no exact test of {_count(tests, 'comparison')} can fall below "
            f"{LEVEL}; it takes {needed}."
        )
    if len(apart):
        doubt = "" if pairs < needed else f", which the exact tests, corrected for {tests} comparisons, do not confirm"
        yield f"By 95 % intervals alone it leads {_join(apart.index)} by {_span(apart)} points{doubt}."
    if len(level):
        nearest = level["difference"].idxmin()
        row = level.loc[nearest]
        known = not math.isnan(row["low"])
        interval = f", 95 % interval {100 * row['low']:+.2f} to {100 * row['high']:+.2f}" if known else ""
        others = level.index.drop(nearest)
        too = f"; the same goes for {_join(others)}" if len(others) else ""
        lead = f"{100 * row['difference']:+.2f} points{interval}"
        yield f"The lead over {nearest} ({lead}) cannot be told from luck{too}."


def _span(rivals: pd.DataFrame) -> str:
    low, high = (f"{100 * edge:.2f}" for edge in (rivals["difference"].min(), rivals["difference"].max()))
    return low if low == high else f"{low} to {high}"


def against(pairs: pd.DataFrame, init: str) -> pd.DataFrame:
    """The comparisons of one initializer with each other one, as its lead: index the other; see `paired.compare`."""
    leads = pairs[pairs["a"] == init].set_index("b")
    behind = pairs[pairs["b"] == init].set_index("a")
    turned = behind.assign(difference=-behind["difference"], low=-behind["high"], high=-behind["low"])
    return pd.concat([leads, turned]).sort_values("difference", ascending=False)


def _by_task(comparison: Comparison) -> Iterator[str]:
    best = comparison.overall.index[0]
    others = [
        f"{ranking.table.index[0]} on {ranking.title}"
        for ranking in comparison.rankings
        if len(ranking.table) and ranking.table.index[0] != best and not math.isnan(ranking.table["mean"].iloc[0])
    ]
    if others and len(comparison.rankings) > 1:
        yield f"It changes with the task: the highest mean is that of {_join(others, most=6)}."


def _times(comparison: Comparison) -> Iterator[str]:
    for ranking in comparison.rankings if len(comparison.rankings) <= 3 else []:
        fastest = _fastest(ranking)
        if fastest is not None:
            at = f"{float(ranking.target or 0):.0%}"
            where = f" ({ranking.title})" if len(comparison.rankings) > 1 else ""
            yield f"Soonest at {at} validation accuracy: {fastest}{where}."


def _fastest(ranking: Ranking) -> str | None:
    steps = ranking.table["median_steps"].dropna()
    if steps.empty or math.isinf(steps.min()):
        return None
    first = [str(init) for init in steps.index[steps == steps.min()]]
    return f"{_join(first, most=4)}, after {steps.min():.0f} steps in the median"


def _join(items: Sequence[object] | pd.Index, most: int = 8) -> str:
    names = [str(item) for item in items]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, noun: str, shown: str | None = None) -> str:
    return f"{shown or number} {noun}{'s' if number != 1 else ''}"
