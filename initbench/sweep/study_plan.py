"""What a sweep sets out to run, as it is written into `study.lock` before the first run."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from initbench.record import plans
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.plan import plan


def study_plan(loader: CachingConfigLoader, master: DictConfig, grid: Sequence[Sequence[str]]) -> plans.Plan:
    """The plan of a grid; with until=sure its jobs have no seeds, as the race decides how many there are."""
    is_race = master.until is not None
    jobs = plan(loader, master, [[*job, "seed=0"] for job in grid] if is_race else grid)
    of_each = {job.workload: job.overrides for job in jobs}
    configs = [loader.load_sweep_config(master, list(overrides)) for overrides in of_each.values()]
    targets = [target for config in configs for target in _numbers(OmegaConf.select(config, "data.targets"))]
    rules = {key: master.race[key] for key in ("level", "most_seeds", "budget", "strict", "per_task")}
    return plans.Plan(
        inits=tuple(dict.fromkeys(job.init for job in jobs)),
        workloads=tuple(of_each),
        seeds=() if is_race else tuple(sorted(set(_numbers([job.seed for job in jobs])))),
        targets=tuple(sorted(set(targets))),
        margin=master.report.margin,
        reference=master.report.reference,
        race=plans.Race(**rules) if is_race else None,
    )


def _numbers(values: Any) -> list[Any]:
    """The numbers among some values; a run with any other is refused when its turn comes."""
    several = values if isinstance(values, Sequence) and not isinstance(values, str) else []
    return [value for value in several if type(value) in (int, float)]
