"""How many more seeds would probably answer an open question, how long they take, and the command to type."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from initbench.analysis.comparison.commands import commands_for, judged_by
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.statistics.power import POWER, seeds_needed, spread

_MOST = 1000  # seeds; nobody runs more
_LEAST_SECONDS = 5  # of work; records are dated in whole seconds


@dataclass(frozen=True)
class MoreSeeds:
    """More seeds for initializers with an open question.

    inits: the rivals whose question they would answer; swept: the initializers that get them: those that need them, so
    that all can still be compared, and those that a command cannot leave out; difference: the one that they show with a
    power of 80 %, None if it is not the same for all rivals; is_margin: whether it is the margin for some rival, as a
    smaller one was seen; seeds: on each workload, including those that are there; more: how many of them are still to
    be run; runs: how many runs these are; seconds: the time they take on a machine like the one that ran the others,
    None if it is not known; commands: what to type, empty for runs from elsewhere.
    """

    inits: tuple[str, ...]
    swept: tuple[str, ...]
    difference: float | None
    is_margin: bool
    seeds: int
    more: int
    runs: int
    seconds: float | None
    commands: tuple[str, ...]


def more_seeds(findings: Findings, margin: float | None = None, reference: str | None = None) -> MoreSeeds | None:
    """The sweep that would probably answer what is open, judged by the same margin (as a user types it) and reference.

    None if nothing is open, or if nothing says how many seeds it takes.
    """
    judged = judged_by(margin, reference)
    needed = {init: seeds_to_tell(findings, init) for init in findings.open}
    known = {init: of for init, of in needed.items() if of is not None and of[0] <= _MOST}
    if findings.open and not findings.can_tell and not known:
        return _sweep(findings, findings.least_seeds, findings.open, None, judged)
    if not known:
        return None
    shown = {of for _, of in known.values()}  # the margin, if it is larger than every difference seen
    difference = shown.pop() if len(shown) == 1 else None
    is_margin = any(of > abs(float(findings.rivals.at[init, "difference"])) for init, (_, of) in known.items())
    needed_seeds = max(seeds for seeds, _ in known.values())
    return _sweep(findings, needed_seeds, list(known), difference, judged, is_margin=is_margin)


def seeds_to_tell(findings: Findings, init: str) -> tuple[int, float] | None:
    """The seeds that tell the leader from a rival, and the difference that they show.

    That is the observed difference or, if it is smaller, the margin; but the observed one if there are enough seeds for
    the margin already, and neither a difference nor equality is shown. With several open questions each has the power
    that gives all of them 80 % together. None if nothing says how much seeds differ, or if there are enough seeds.
    """
    seen = abs(float(findings.rivals.at[init, "difference"]))
    power = 1 - (1 - POWER) / len(findings.open)
    needed = [(seeds_for(findings, init, of, power), of) for of in (max(seen, findings.margin or 0.0), seen)]
    present = _seeds_with(findings, init)
    return next(((seeds, of) for seeds, of in needed if seeds is not None and seeds > present), None)


def seeds_for(findings: Findings, rival: str, difference: float, power: float = POWER) -> int | None:
    """The seeds that show such a difference between the leader and a rival with this power."""
    # A p value that is below the level but not after the correction needs seeds for the correction.
    tests = findings.comparisons
    if findings.reference is None and findings.rivals.at[rival, "p"] < findings.level:
        tests = int(findings.pairs["p"].notna().sum())
    return seeds_needed(difference, _spread(findings, rival), findings.next_level / tests, power)


def _spread(findings: Findings, rival: str) -> float:
    """Standard deviation of one seed's difference between the leader and a rival.

    If learning rates were chosen, it is at least what a normal test with the p value of the row swaps implies: the
    differences at the chosen rates do not show the luck of the choice.
    """
    known = spread(findings.scores[findings.leader] - findings.scores[rival])
    exact = findings.chosen_rates.p.get(frozenset((findings.leader, rival)), 1.0)
    if exact >= 0.5:  # it says next to nothing
        return known
    row = findings.rivals.loc[rival]
    return max(known, abs(row["difference"]) * math.sqrt(row["seeds"]) / float(ndtri(1 - exact / 2)))


def _seeds_with(findings: Findings, rival: str) -> int:
    """The number of seeds that the leader and a rival share on the workload where they share the fewest."""
    is_shared = findings.scores[[findings.leader, rival]].notna().to_numpy().all(axis=1)
    workloads = findings.scores.index.get_level_values("workload").factorize()[0]
    return int(np.bincount(workloads, is_shared).min())


def _sweep(
    findings: Findings,
    needed: int,
    inits: list[str],
    difference: float | None,
    judged: list[str],
    *,
    is_margin: bool = False,
) -> MoreSeeds:
    """The sweep that gives the leader and `inits` at least the needed seeds on each workload.

    The others get them, too, if they would otherwise share too few to be compared with these: see `scope.scopes`.
    """
    are_few = needed > 2 * findings.seeds[0]
    swept = list(map(str, findings.scores)) if are_few else [findings.leader, *inits]
    scored = findings.runs[~findings.runs["is_tuning"]]
    runs = scored[scored["init"].isin(swept)]
    present, tuning = (_whole(of["seed"]) for of in (runs, findings.runs[findings.runs["is_tuning"]]))
    fresh = (seed for seed in itertools.count() if seed not in present | tuning)
    number = max(needed, runs["seed"].nunique())
    seeds = present | set(itertools.islice(fresh, number - runs["seed"].nunique()))
    commands, trained = commands_for(scored, seeds, swept, judged)
    swept += sorted(trained - set(swept))
    ended = scored[scored["score"].notna() & scored["init"].isin(swept)]
    there = ended.groupby(["workload", "init", "lr"], dropna=False)["seed"].nunique()  # a grid has all of its rates
    more = int((number - there).clip(lower=0).sum())
    each = seconds_per_run(findings.runs)
    return MoreSeeds(
        inits=tuple(inits),
        swept=tuple(swept),
        difference=difference,
        is_margin=is_margin,
        seeds=number,
        more=number - min(_seeds_with(findings, init) for init in inits),
        runs=more,
        seconds=None if each is None else each * more,
        commands=tuple(commands),
    )


def seconds_per_run(runs: pd.DataFrame) -> float | None:
    """How long the machine was busy per run, whether it trained them one by one, several at once or as packs.

    The time during which any run was under way, divided by their number; None if that time is below five seconds.
    Resumed runs may have been paused for days, so they do not count.
    """
    done = runs[
        runs["status"].isin(["finished", "diverged"]) & runs["started_at"].notna() & runs["finished_at"].notna()
    ]
    done = done[done["resumed"] == 0]
    busy, number = 0.0, 0
    for _, of_host in done.groupby("host", dropna=False):
        begun, ended = (pd.to_datetime(of_host[column], utc=True) for column in ("started_at", "finished_at"))
        latest = pd.Timestamp.min.tz_localize("UTC")
        for start, end in sorted(zip(begun, ended, strict=True)):
            busy += max((end - max(start, latest)).total_seconds(), 0.0)
            latest = max(latest, end)
        number += len(of_host)
    return busy / number if busy >= _LEAST_SECONDS else None


def _whole(seeds: pd.Series) -> set[int]:
    numbers = pd.to_numeric(seeds, errors="coerce")
    return set(numbers[numbers % 1 == 0].astype(int))
