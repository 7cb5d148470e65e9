"""The answer in a few plain sentences: which initializer, by how much, how sure, and where it changes."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from initbench.analysis.changes import changes
from initbench.analysis.comparison import Comparison
from initbench.analysis.paired import blocks_needed
from initbench.analysis.ranking import Ranking, number
from initbench.analysis.times import times_to

LEVEL = 0.05


def verdict(comparison: Comparison) -> list[str]:
    """Sentences, the first of which answers the question. Differences are in percentage points of test accuracy."""
    changed = changes(comparison)
    if len(changed):
        return list(_changes(changed))
    overall = comparison.overall
    if overall.empty:
        return ["Nothing can be compared: no initializer has a run that ended in every task."]
    if len(overall) == 1:
        return [f"{overall.index[0]} is the only initializer, so there is nothing to compare it with."]
    return [_winner(comparison), *_against_others(comparison), *_by_task(comparison), *_times(comparison)]


def _winner(comparison: Comparison) -> str:
    overall = comparison.overall
    best = str(overall.index[0])
    tasks = comparison.everywhere.index.get_level_values("task").nunique()
    seeds = comparison.everywhere[best].dropna().groupby(level="task").size()
    counted = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    where = f"{_count(int(seeds.max()), 'seed', counted)}" + (f" on each of {tasks} tasks" if tasks > 1 else "")
    mean = f"{100 * float(number(overall['mean'].iloc[0], '.4f')):.2f}%"  # as the tables have it
    if ties := _ties(overall):
        return f"{_join([best, *ties])} have the same mean test accuracy, {mean} ({where})."
    sure = overall["best"].iloc[0]
    chance = "" if math.isnan(sure) or seeds.max() == 1 else f", and the highest in {sure:.0%} of bootstrap resamples"
    leads = [ranking for ranking in comparison.rankings if len(ranking.table) and ranking.table.index[0] == best]
    depends = "It depends on the task. Over all, " if tasks > 1 and not leads else ""
    return f"{depends}{best} has the highest mean test accuracy, {mean} ({where}){chance}."


def _ties(overall: pd.DataFrame) -> list[str]:
    """The initializers whose mean is that of the first."""
    return [str(init) for init in overall.index[1:] if overall["mean"].iloc[0] - overall.at[init, "mean"] < 1e-10]


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
        yield f"On all runs that both have, {_within(subject)} is worse than {_join(better.index)}."
    if (rest := rivals[~is_sure]).shape[0]:
        yield from _unsure(comparison, subject, rest)


def _unsure(comparison: Comparison, subject: str, rest: pd.DataFrame) -> Iterator[str]:
    """Of those that the exact tests do not tell from the best: what else speaks, and how much that is worth."""
    tests = int(comparison.pairs["p"].notna().sum())
    pairs, needed = int(rest["pairs"].max()), blocks_needed(tests, LEVEL)
    can_tell = pairs >= needed
    if not can_tell:
        yield (
            f"With {_count(pairs, 'pair')} of runs no exact test of {_count(tests, 'comparison')} can fall below "
            f"{LEVEL}; it takes {needed}."
        )
    apart = rest[rest["low"] > 0]
    if len(apart):
        doubt = f"; the exact tests of {tests} comparisons do not confirm it" if can_tell else ""
        yield (
            f"By 95 % intervals, not corrected for the choice of the best, {_within(subject)} leads "
            f"{_join(apart.index)} by {_span(apart)} points{doubt}."
        )
    level = rest[~(rest["low"] > 0)]
    if not can_tell:
        above = level[[_is_above(comparison.everywhere, str(comparison.overall.index[0]), str(i)) for i in level.index]]
        if len(above):
            yield f"Each of its runs is above each of {_join(above.index)}, on average by {_span(above)} points."
        level = level.drop(above.index)
    if len(level):
        nearest = level["difference"].idxmin()
        row = level.loc[nearest]
        known = not math.isnan(row["low"])
        interval = f", 95 % interval {100 * row['low']:+.2f} to {100 * row['high']:+.2f}" if known else ""
        others = level.index.drop(nearest)
        too = f"; the same goes for {_join(others)}" if len(others) else ""
        what = "cannot be told from luck" if can_tell else "is of too few seeds to say more"
        yield f"The lead over {nearest} ({100 * row['difference']:+.2f} points{interval}) {what}{too}."


def _within(subject: str) -> str:
    """The subject of a sentence where it does not begin it."""
    return "it" if subject == "It" else subject


def _is_above(scores: pd.DataFrame, best: str, other: str) -> bool:
    """Whether in every task the worst run of one is better than the best of the other."""
    by_task = scores[[best, other]].groupby(level="task")
    return bool((by_task[best].min() > by_task[other].max()).all())


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
        if ranking.target is not None:
            where = f" ({ranking.title})" if len(comparison.rankings) > 1 else ""
            yield _soonest(ranking, ranking.target, where)


def _soonest(ranking: Ranking, target: str, where: str) -> str:
    ended = ranking.scored[ranking.scored["score"].notna()]
    table = times_to(ended, target)
    first = table.iloc[0]
    ties = table.index[(table[["mean_steps", "median_steps"]] == first[["mean_steps", "median_steps"]]).all(axis=1)]
    half = f"half of the runs after {first['median_steps']:.0f} steps"
    parts = [half if first["median_steps"] < math.inf else "though fewer than half of the runs got there"]
    if len(beaten := table.index[table["p"] < LEVEL]):
        parts.append(f"sooner than {_join(beaten)} (log-rank)")
    elif len(table) > len(ties):
        parts.append("which no log-rank test tells from the others")
    at = f"{100 * float(target):.4g}%"
    return f"Soonest at {at} validation accuracy: {_join(ties, most=4)}, {', '.join(parts)}{where}."


def _changes(changed: pd.DataFrame) -> Iterator[str]:
    """A sentence for each two studies: what is better, what is worse, what is the same."""
    for (before, after), rows in changed.groupby(["before", "after"], sort=False):
        is_same, is_sure = rows["difference"].abs() < 1e-10, rows["p_holm"] < LEVEL
        parts = []
        for word, of in (("better", is_sure & (rows["difference"] > 0)), ("worse", is_sure & (rows["difference"] < 0))):
            if of.any():
                parts.append(f"{word}: {_join([_change(row) for _, row in rows[of].iterrows()])}")
        if (unsure := rows[~is_same & ~is_sure]).shape[0]:
            said = _join([_change(row) for _, row in unsure.iterrows()])
            parts.append(f"no exact test, corrected after Holm, confirms {said}")
        if is_same.any():
            parts.append(f"the same: {_join(rows.loc[is_same, 'init'])}")
        yield f"From {before} to {after}: {'; '.join(parts)}."


def _change(row: pd.Series) -> str:
    known = not math.isnan(row["low"])
    interval = f"; 95 % interval {100 * row['low']:+.2f} to {100 * row['high']:+.2f}" if known else ""
    return f"{row['init']} ({100 * row['difference']:+.2f} points in {_count(row['pairs'], 'pair')}{interval})"


def _join(items: Sequence[object] | pd.Index, most: int = 8) -> str:
    names = [str(item) for item in items]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, noun: str, shown: str | None = None) -> str:
    return f"{shown or number} {noun}{'s' if number != 1 else ''}"
