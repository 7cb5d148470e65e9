"""until=sure: a sweep in rounds, each of which runs the next seeds of those initializers that are still in the race.

Who is in is decided by `initbench.analysis.race`, from the records alone. So a race that was killed goes on when its
command is typed again, and decides as it would have.
"""

import math
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from initbench.console import console
from initbench.errors import UserMistake
from initbench.record import plans
from initbench.record.damage import readable
from initbench.record.index import of_study
from initbench.schema.config import DURATION, SECONDS
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import Planned, study_of, write_plan
from initbench.sweep.plan import Job, plan
from initbench.sweep.race_state import news, state
from initbench.wording import count

if TYPE_CHECKING:
    from initbench.analysis.race.raced import Raced

_SEED = "seed="
# Where a pack can be larger, larger rounds still cost more: the runs of seeds that come after the decision are wasted.
_RUNS_PER_ROUND = 8

Overrides = Sequence[str]


@dataclass(frozen=True)
class _Entrant:
    """An initializer on a workload, and the overrides that its runs share."""

    base: tuple[str, ...]
    init: str
    workload: str

    def job(self, seed: int) -> list[str]:
        return [*self.base, f"{_SEED}{seed}"]


def runs_per_round(race: DictConfig, slots: int) -> int:
    """What `race.runs_per_round` says, or as many as it takes to keep all slots of the launcher busy."""
    return race.runs_per_round or max(_RUNS_PER_ROUND, slots)


def check(loader: CachingConfigLoader, master: DictConfig, grid: Sequence[Overrides]) -> None:
    """Raise UserMistake for a grid that no race can be run of, before anything is run."""
    keys: dict[str, list[str]] = {}
    for override in dict.fromkeys(override for job in grid for override in job):
        key, _, value = override.lstrip("+").partition("=")
        keys.setdefault(key, []).append(value)
    if "seed" in keys:
        seeds = ",".join(keys["seed"])
        raise UserMistake(f"seed={seeds} cannot be set with until=sure, which runs seeds from 0 on until it is sure")
    apart = [f"seeds.{source}" for source in ("weights", "order", "augmentation")]
    if shared := next((source for source in apart if set(keys.get(source, ["null"])) != {"null"}), None):
        raise UserMistake(f"{shared} cannot be set with until=sure: runs that share seeds are not independent")
    if master.report.reference is not None:
        raise UserMistake(
            f"report.reference={master.report.reference} cannot be set with until=sure, which compares every two"
        )
    entrants = _entrants(loader, master, grid)
    if len(inits := list(dict.fromkeys(entrant.init for entrant in entrants))) < 2:
        raise UserMistake(
            f"until=sure needs two initializers or more, and {inits[0]} is the only one: list them as init=A,B"
        )
    if len({(entrant.init, entrant.workload) for entrant in entrants}) < len(entrants):
        raise UserMistake(
            "until=sure runs each initializer at one learning rate, and optimizer.lr is swept over: experiment=tuned "
            "chooses one for each before the race"
        )
    if master.tuning is not None and (both := sorted(set(range(master.race.most_seeds)) & set(master.tuning.seeds))):
        of_race = f"the seeds of the race, 0 to {master.race.most_seeds - 1}"
        raise UserMistake(f"tuning.seeds={list(master.tuning.seeds)} must not overlap {of_race}; {both[0]} does")


def check_size(study_plan: plans.Plan, looks: int) -> None:
    """Raise UserMistake for a race that is too short to decide anything."""
    assert study_plan.race is not None
    first, race = _first_look(study_plan, looks), study_plan.race
    if first > race.most_seeds:
        raise UserMistake(
            f"race.most_seeds={race.most_seeds} is too small: nothing can be decided about {len(study_plan.inits)} "
            f"initializers before {first} seeds"
        )
    runs = first * len(study_plan.inits) * len(study_plan.workloads)
    if isinstance(race.budget, int) and race.budget < runs:
        raise UserMistake(
            f"race.budget={race.budget} is too small: nothing can be decided before {first} seeds, which are {runs} "
            "runs"
        )


def rounds(
    loader: CachingConfigLoader,
    master: DictConfig,
    jobs: Sequence[Overrides],
    study_plan: plans.Plan,
    looks: int,
    planned: Planned,
    round_size: int,
) -> Iterator[list[list[str]]]:
    """Yield the jobs of each round; the next one is known when those of the last have run.

    looks: how often the study had been looked at before; round_size: the runs of a round, rounded up to whole seeds.
    """
    began = time.monotonic()
    entrants = _entrants(loader, master, jobs)
    first = _first_look(study_plan, looks)
    todo = [entrant.job(seed) for entrant in entrants for seed in range(first)]
    if master.dry_run:
        yield todo
        return
    asked: list[list[str]] = []
    tried: set[str] = set()
    told: set[str] = set()
    while todo:
        asked += todo
        round_jobs = plan(loader, master, todo)
        if stuck := [job.folder.name for job in round_jobs if job.folder.name in tried and not job.is_complete]:
            number = count(len(stuck), "run has", "runs have")
            console.print(
                f"race: {number} not ended, {stuck[0]} for one; run the same command again to continue", soft_wrap=True
            )
            return
        new = [job.folder.name for job in round_jobs if master.force or not job.is_complete]
        tried.update(new)
        planned.runs |= {job.folder.name for job in round_jobs}
        if new:
            yield todo
        raced, workloads = _read(plan(loader, master, asked), study_plan, looks, tried)
        todo = [job for race in raced for job in _next(race, entrants, round_size)]
        why = _is_spent(master.race.budget, len(asked), len(todo), began) if todo else ""
        planned.race = [state(race, name, is_spent=bool(why)) for race, name in zip(raced, workloads, strict=True)]
        write_plan(study_of(master), planned, master)
        for line in news(raced, workloads, told):
            console.print(line, soft_wrap=True, markup=False)
        if why:
            console.print(f"race: {why}", soft_wrap=True)
            return


def _entrants(loader: CachingConfigLoader, master: DictConfig, jobs: Sequence[Overrides]) -> list[_Entrant]:
    first = plan(loader, master, [[*job, f"{_SEED}0"] for job in jobs])
    return [_Entrant(tuple(job.overrides[:-1]), job.init, job.workload) for job in first]


def _first_look(study_plan: plans.Plan, looks: int) -> int:
    """The seeds of the first round."""
    from initbench.analysis.race.raced import rules_of

    assert study_plan.race is not None
    parts = (len(study_plan.workloads) if study_plan.race.per_task else 1) * 2**looks
    return rules_of(study_plan, len(study_plan.inits), parts, None).first_look


def _read(
    jobs: Sequence[Job], study_plan: plans.Plan, looks: int, tried: Collection[str]
) -> "tuple[list[Raced], list[str]]":
    """The races as far as the records go, and the workload of each by name, empty for one race over all of them.

    A run that failed counts when this sweep has tried it again.
    """
    from initbench.analysis.loading.frame import to_frame
    from initbench.analysis.race.raced import races

    ended = [job.folder for job in jobs if job.is_complete or job.folder.name in tried]
    rows = [(readable(of_study(folder.parent).read, folder.name), folder) for folder in ended]
    runs = to_frame({**row, "path": str(folder)} for row, folder in rows if row is not None)
    raced = races(runs, study_plan, looks)
    names = dict(zip(runs["workload_id"], runs["workload"], strict=True))
    return raced, [names.get(race.workloads[0], "") if len(raced) > 1 else "" for race in raced]


def _next(race: "Raced", entrants: Sequence[_Entrant], round_size: int) -> list[list[str]]:
    """The next seeds of those that are in, as many as it takes for a round; none when the race is over."""
    if race.course.is_over:
        return []
    inside = {race.inits[init] for init in race.course.inside}
    own = [entrant for entrant in entrants if entrant.init in inside and entrant.workload in race.workloads]
    begun = race.course.seeds
    seeds = range(begun, min(begun + math.ceil(round_size / len(own)), race.course.rules.most_seeds))
    return [entrant.job(seed) for entrant in own for seed in seeds]


def _is_spent(budget: int | str | None, runs: int, more: int, began: float) -> str:
    """Why the budget does not allow another round of so many runs; empty where it does."""
    if isinstance(budget, int) and runs + more > budget:
        return f"ends after {runs} runs, as another round of {more} would exceed race.budget={budget}"
    passed = time.monotonic() - began
    if isinstance(budget, str) and (found := re.fullmatch(DURATION, budget)) is not None:
        allowed = float(found["number"]) * SECONDS[found["unit"]]
        return f"ends after {runs} runs, as race.budget={budget} has passed" if passed > allowed else ""
    return ""
