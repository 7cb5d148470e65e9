"""How many more seeds would probably answer an open question, how long they take, and the command to type."""

import itertools
import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.statistics.power import POWER, seeds_needed, spread

_MOST = 1000  # seeds; nobody runs more
# Words that a command which adds seeds leaves out; a race (until=sure) allows no seeds to be named.
_NOT_AGAIN = ("seed=", "dry_run=", "force=", "until=", "race.")
_LEAST_SECONDS = 5  # of work; records are dated in whole seconds


@dataclass(frozen=True)
class MoreSeeds:
    """More seeds for initializers with an open question.

    inits: the rivals whose question they would answer; swept: the initializers that need them, so that all can still be
    compared; difference: the one that they show with a power of 80 %, None if it is not the same for all rivals;
    is_margin: whether it is the margin for some rival, as a smaller one was seen; seeds: on each workload, including
    those that are there; more: how many of them are still to be run; runs: how many runs these are; seconds: the time
    they take on a machine like the one that ran the others, None if it is not known; commands: what to type, empty for
    runs from elsewhere.
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


def more_seeds(findings: Findings) -> MoreSeeds | None:
    """The sweep that would probably answer what is open.

    None if nothing is open, or if nothing says how many seeds it takes.
    """
    needed = {init: seeds_to_tell(findings, init) for init in findings.open}
    known = {init: of for init, of in needed.items() if of is not None and of[0] <= _MOST}
    if findings.open and not findings.can_tell and not known:
        return _sweep(findings, findings.least_seeds, findings.open, None)
    if not known:
        return None
    shown = {of for _, of in known.values()}  # the margin, if it is larger than every difference seen
    difference = shown.pop() if len(shown) == 1 else None
    is_margin = any(of > abs(float(findings.rivals.at[init, "difference"])) for init, (_, of) in known.items())
    return _sweep(findings, max(seeds for seeds, _ in known.values()), list(known), difference, is_margin=is_margin)


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
    findings: Findings, needed: int, inits: list[str], difference: float | None, *, is_margin: bool = False
) -> MoreSeeds:
    """The sweep that gives the leader and `inits` at least the needed seeds on each workload.

    The others get them, too, if they would otherwise share too few to be compared with these: see `scope.scopes`.
    """
    are_few = needed > 2 * findings.seeds[0]
    swept = list(map(str, findings.scores)) if are_few else [findings.leader, *inits]
    runs = findings.runs[findings.runs["init"].isin(swept) & ~findings.runs["is_tuning"]]
    present, tuning = (_whole(of["seed"]) for of in (runs, findings.runs[findings.runs["is_tuning"]]))
    fresh = (seed for seed in itertools.count() if seed not in present | tuning)
    number = max(needed, runs["seed"].nunique())
    seeds = present | set(itertools.islice(fresh, number - runs["seed"].nunique()))
    ended = runs[runs["score"].notna()]
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
        commands=tuple(_commands(runs, seeds, swept)),
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


def _commands(runs: pd.DataFrame, seeds: set[int], inits: list[str]) -> list[str]:
    """The commands that made the runs, with these seeds and, if the initializers can be named, only `inits`."""
    made: dict[str, set[tuple[Any, ...]]] = {}
    recorded = runs["recorded_study"] if "recorded_study" in runs else runs["study"]
    for (typed, path, study), of in runs.groupby(["command", runs["path"].map(_folder), recorded], sort=False):
        words = shlex.split(str(typed))
        if _program(words) is not None:
            trained: set[tuple[Any, ...]] = set(zip(of["workload"], of["lr"], of["init"], strict=True))
            names = {(*cell, init) for *cell, _ in trained for init in inits}  # with `init=` as it will be changed
            command = _changed(_into(words, Path(path), study), _choice(seeds), inits)
            made.setdefault(command, set()).update(names if _can_name(words, inits) else trained)
    kept: list[str] = []
    for command in sorted(made, key=lambda command: -len(made[command])):
        if not made[command] <= set().union(*(made[of] for of in kept)):
            kept.append(command)
    return [command for command in made if command in kept]


def _folder(path: str | None) -> str | None:
    """The folder of the study of a run; None for a run from elsewhere."""
    return str(Path(path).parent.absolute()) if isinstance(path, str) else None


def _into(words: list[str], folder: Path, study: str) -> list[str]:
    """A command for the study in `folder`, to which the runs may have been moved since they were recorded."""
    name = Path(study).parts
    if folder.parts[len(folder.parts) - len(name) :] == name:
        return words
    runs_dir = next((word.partition("=")[2] for word in words if word.startswith("runs_dir=")), "runs")
    is_beside = folder.parent.resolve() == Path(runs_dir).resolve()
    kept = [word for word in words if not word.startswith(("study=",) if is_beside else ("study=", "runs_dir="))]
    return [*kept, f"study={folder.name}", *([] if is_beside else [f"runs_dir={folder.parent}"])]


def _whole(seeds: pd.Series) -> set[int]:
    numbers = pd.to_numeric(seeds, errors="coerce")
    return set(numbers[numbers % 1 == 0].astype(int))


def _program(words: list[str]) -> int | None:
    """The position of `initbench` in a command, `python -m initbench ...` or the script; None if it is another."""
    return next((place for place, word in enumerate(words[:3]) if Path(word).name == "initbench"), None)


def _can_name(words: list[str], inits: list[str]) -> bool:
    """Whether `init=` of a command can be changed to these: all are plain options, and none has keys of its own."""
    return all(re.fullmatch(r"\w+", init) for init in inits) and not any(word.startswith("init.") for word in words)


def _changed(words: list[str], seeds: str, inits: list[str]) -> str:
    """A command with these seeds, and with these initializers if it chooses among plain options."""
    typed = [word for word in words[(_program(words) or 0) + 1 :] if not word.startswith(_NOT_AGAIN)]
    if _can_name(words, inits):
        typed = [*(word for word in typed if not word.startswith("init=")), f"init={','.join(inits)}"]
    is_study = any(word.startswith("experiment=") for word in typed)
    if not (is_study or {"-m", "--multirun"} & set(typed)):
        typed.insert(0, "-m")
    return shlex.join(["python", "-m", "initbench", *typed, f"seed={seeds}"])


def _choice(seeds: set[int]) -> str:
    """Seeds as a command-line choice."""
    first, last = min(seeds), max(seeds)
    if last - first + 1 != len(seeds):
        return ",".join(map(str, sorted(seeds)))
    return f"range({last + 1})" if first == 0 else f"range({first},{last + 1})"
