"""The summary of a study: one row per initializer, totals, what is running, and when it may end."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from initbench.metric import Metric
from initbench.record.naming import differences, flatten, name_versions
from initbench.record.store import COMPLETE
from initbench.status.facts import RunFacts
from initbench.status.study import Plan, Race, Snapshot
from initbench.wording import count, visible

WAITING = "waiting"
_OVER = (*COMPLETE, "refused", "failed")


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of an initializer in a setting."""

    init: str
    counts: Counter[str]  # of each status
    metric: Metric | None  # None where no run has begun
    median: float | None  # of the best values in validation, over finished runs
    best: float | None  # of finished and running runs


@dataclass(frozen=True, slots=True)
class Setting:
    """The runs that differ only in initializer and seed."""

    title: str
    rows: list[Row]  # best first
    latest: int  # when one of its records was last written


@dataclass(frozen=True, slots=True)
class Trouble:
    """Runs that failed or were refused for the same reason."""

    status: str
    reason: str
    folders: list[str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """When the running and waiting runs may be over."""

    at_once: int
    seconds_each: float | None  # None if it is unknown for one of the kinds
    seconds_left: float | None  # None also if nothing is running, or it is unknown what is to come


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that status shows."""

    runs: list[RunFacts]
    counts: Counter[str]  # by status, including those that wait
    planned: int | None  # how many runs the latest sweep planned, if that is known
    over: int  # how many of them, or of all runs if there is no plan, have ended
    settings: list[Setting]  # the most recent one last
    running: list[RunFacts]  # the oldest first
    troubles: list[Trouble]  # the most frequent first
    unreadable: list[str]  # names of folders
    estimate: Estimate
    races: tuple[Race, ...]
    abandoned: bool  # runs are waiting, but the process that planned them has ended, and nothing is running


def summarize(snapshot: Snapshot, now: float, at_once: int = 0) -> Summary:
    """The summary of a study.

    now: in seconds since the epoch; at_once: how many runs are known to run at the same time, if more than now.
    """
    plan = snapshot.plan
    names = name_versions((run.init, run.init_source) for run in snapshot.runs)
    named = (replace(run, init=names[run.init, run.init_source]) if run.init_source else run for run in snapshot.runs)
    runs = [_awaited(run, plan) for run in named]
    counts = Counter(run.status for run in runs)
    absent = plan.runs - {run.folder for run in runs} if plan else frozenset()
    counts[WAITING] += len(absent)
    running = sorted((run for run in runs if run.status == "running"), key=lambda run: run.since or now)
    over = [run for run in runs if run.status in _OVER and (plan is None or run.folder in plan.runs)]
    waiting = [*absent, *(run.folder for run in runs if run.status == WAITING)]
    return Summary(
        runs=runs,
        counts=counts,
        planned=len(plan.runs) if plan else None,
        over=len(over),
        settings=_settings(runs),
        running=running,
        troubles=_troubles(runs),
        unreadable=snapshot.unreadable,
        estimate=estimate(runs, running, waiting if plan else None, now, max(at_once, len(running))),
        races=plan.races if plan else (),
        abandoned=plan is not None and plan.abandoned and bool(waiting) and not running,
    )


def as_dict(summary: Summary) -> dict[str, Any]:
    """The summary as plain values, without the single runs that have ended: for `python -m initbench.status --json`."""
    of_running = ("folder", "init", "since", "host", "step", "total_steps", "best")
    return {
        "counts": {status: number for status, number in summary.counts.items() if number},
        "planned": summary.planned,
        "over": summary.over,
        "abandoned": summary.abandoned,
        "races": [asdict(race) for race in summary.races],
        "estimate": asdict(summary.estimate),
        "settings": [
            {
                "title": setting.title,
                "rows": [
                    {"init": row.init, "median": row.median, "best": row.best, "counts": dict(row.counts)}
                    for row in setting.rows
                ],
            }
            for setting in summary.settings
        ],
        "running": [{key: getattr(run, key) for key in of_running} for run in summary.running],
        "troubles": [asdict(trouble) for trouble in summary.troubles],
        "unreadable": summary.unreadable,
    }


def _awaited(run: RunFacts, plan: Plan | None) -> RunFacts:
    """The run, with status `waiting` if the latest sweep has yet to repeat it after an earlier one."""
    if plan is None or plan.abandoned or run.folder not in plan.runs or run.sweep == plan.sweep:
        return run
    done = run.status == "running" or (run.status in COMPLETE and not plan.force)
    return run if done else replace(run, status=WAITING)


def estimate(
    runs: Iterable[RunFacts], running: Sequence[RunFacts], waiting: Sequence[str] | None, now: float, at_once: int
) -> Estimate:
    """An estimate of the time left.

    It uses the mean duration of complete runs of the same model and data, and of the same initializer if there are any;
    otherwise the progress of the running ones, as all runs of a pack end at once. The mean, not the median, because the
    time left is the sum of durations. waiting: folders of runs to come, None if they are not known.
    """
    by_label: dict[str, list[float]] = defaultdict(list)
    by_kind: dict[str, list[float]] = defaultdict(list)
    projected: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.status in COMPLETE and run.seconds is not None:
            by_label[_label(run.folder)].append(run.seconds)
            by_kind[run.kind].append(run.seconds)
    for run in running:
        if run.kind not in by_kind and (seconds := _in_all(run, now)) is not None:
            projected[run.kind].append(seconds)
    labels = {label: statistics.fmean(seconds) for label, seconds in by_label.items()}
    kinds = {kind: statistics.fmean(seconds) for kind, seconds in {**projected, **by_kind}.items()}

    def expected(folder: str) -> float:
        return labels.get(_label(folder)) or next((kinds[kind] for kind in kinds if folder.startswith(kind)), math.nan)

    to_come = [expected(folder) for folder in waiting or ()]
    each = [*(expected(run.folder) for run in running), *to_come]
    seconds_each = statistics.fmean(each) if each else math.nan
    if math.isnan(seconds_each):
        return Estimate(at_once, None, None)
    if waiting is None or not at_once:
        return Estimate(at_once, seconds_each, None)
    left = [_left(run, expected(run.folder), now) for run in running]
    return Estimate(at_once, seconds_each, max(math.fsum(left + to_come) / at_once, *left, 0.0))


def _in_all(run: RunFacts, now: float) -> float | None:
    """Seconds from start to end at its present speed; None if it is unknown or the run was interrupted in between."""
    if run.since is None or not run.step or not run.total_steps or run.begun[2]:
        return None
    return (now - run.since) * run.total_steps / run.step


def _left(run: RunFacts, seconds: float, now: float) -> float:
    if run.step is not None and run.total_steps:
        return seconds * max(0.0, 1 - run.step / run.total_steps)
    return max(0.0, seconds - (now - run.since)) if run.since is not None else seconds


def _label(folder: str) -> str:
    """The part of a folder's name before the seed: model, data and initializer."""
    return folder.rpartition("-seed")[0]


def _settings(runs: Iterable[RunFacts]) -> list[Setting]:
    grouped: dict[str, list[RunFacts]] = defaultdict(list)
    for run in runs:
        grouped[run.setting].append(run)
    titles = {}
    for key, members in grouped.items():
        steps = max((run.total_steps for run in members if run.total_steps), default=None)
        titles[key] = members[0].title + (f", {count(steps, 'step')}" if steps else "")
    more = differences(titles, {key: flatten(members[0].shared) for key, members in grouped.items()})
    settings = []
    for key, members in grouped.items():
        rows: dict[str, list[RunFacts]] = defaultdict(list)
        for run in members:
            rows[run.init].append(run)
        latest = max(run.written for run in members)
        settings.append(
            Setting(visible(titles[key] + more[key]), sorted((_row(*row) for row in rows.items()), key=_merit), latest)
        )
    return sorted(settings, key=lambda setting: setting.latest)


def _row(init: str, runs: list[RunFacts]) -> Row:
    finished = [run.best for run in runs if run.status == "finished" and run.best is not None]
    running = [run.best for run in runs if run.status == "running" and run.best is not None]
    metric = next((run.metric for run in runs if run.metric is not None), None)
    return Row(
        init=init,
        counts=Counter(run.status for run in runs),
        metric=metric,
        median=statistics.median(finished) if finished else None,
        best=metric.best_of(finished + running) if metric is not None and finished + running else None,
    )


def _merit(row: Row) -> tuple[float, float, str]:
    sign = 1 if row.metric is None else row.metric.sign
    median, best = (math.inf if value is None else -sign * value for value in (row.median, row.best))
    return median, best, row.init


def _troubles(runs: Iterable[RunFacts]) -> list[Trouble]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        if run.status in ("failed", "refused"):
            found[run.status, run.reason or "no reason given"].append(run.folder)
    troubles = [Trouble(status, reason, folders) for (status, reason), folders in found.items()]
    return sorted(troubles, key=lambda trouble: -len(trouble.folders))
