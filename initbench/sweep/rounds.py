"""The rounds of a sweep: what a later one runs depends on what came of the earlier ones."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from initbench.record.plans import add_plan, looks_before
from initbench.record.sweep_id import sweep_id
from initbench.sweep import race, tuning
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import Planned, ended_runs, study_of
from initbench.sweep.study_plan import study_plan


def rounds(
    loader: CachingConfigLoader, master: DictConfig, grid: Sequence[list[str]], planned: Planned, round_size: int
) -> Iterator[list[list[str]]]:
    """Yield the jobs of each round: the grid or, before it, those that choose learning rates; or those of a race.

    round_size: how many runs a round of a race has.
    Raises UserMistake for what cannot be tuned, or raced.
    """
    is_race = master.until is not None
    if master.tuning is not None:
        tuning.check(loader, master, grid)
    if is_race:
        race.check(loader, master, grid)
    study, plan = study_of(master), study_plan(loader, master, grid)
    runs_before = ended_runs(study)
    looks = looks_before(study, plan, runs_before)
    if is_race:
        race.check_size(plan, looks)
    if not master.dry_run:
        add_plan(study, plan, runs_before, sweep_id())
    jobs: Sequence[list[str]] = grid
    if master.tuning is not None:
        jobs = yield from tuning.rounds(loader, master, grid)
    if jobs and is_race:
        yield from race.rounds(loader, master, jobs, plan, looks, planned, round_size)
    elif jobs:
        yield list(jobs)
