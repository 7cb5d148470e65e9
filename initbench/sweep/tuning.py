"""experiment=tuned: a sweep in rounds. The first rounds choose a learning rate for each initializer, extending the grid
where the best is at its edge; the last runs the requested seeds at the chosen rates."""

import math
from collections.abc import Generator, Sequence

from omegaconf import DictConfig, OmegaConf

from initbench.console import console
from initbench.errors import UserMistake
from initbench.record.damage import readable
from initbench.record.index import of_study
from initbench.record.store import COMPLETE
from initbench.schema.config import Tuning
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.dispatch import study_of
from initbench.sweep.plan import plan
from initbench.wording import count

_RATE, _SEED = "optimizer.lr=", "seed="
_ENOUGH = 10  # tuning seeds: docs/explanation/comparison.md, "The learning rate"

Overrides = Sequence[str]


def rounds(
    loader: CachingConfigLoader, master: DictConfig, jobs: Sequence[Overrides]
) -> Generator[list[list[str]], None, list[list[str]]]:
    """Yield the jobs of each round; the next one is known when those of the last have run.

    Returns the jobs that are to be scored, at the rates that were chosen.
    """
    tuning = Tuning.model_validate(OmegaConf.to_container(master.tuning))
    seeds = tuning.seeds
    candidates = {base: _candidates(loader, master, base, tuning.lr_factors) for base in map(_base, jobs)}
    console.print(
        f"tuning: {count(len(candidates), 'config')} at {count(len(tuning.lr_factors), 'learning rate')}, "
        f"{count(len(seeds), 'seed')} each"
    )
    scored_seeds = len({override for job in jobs for override in job if override.startswith(_SEED)})
    most_seeds = scored_seeds if master.until is None else master.race.most_seeds
    if len(seeds) < min(most_seeds, _ENOUGH):
        up_to = "" if master.until is None else "up to "
        console.print(
            f"tuning: only {count(len(seeds), 'seed chooses', 'seeds choose')} the learning rates, but "
            f"{up_to}{most_seeds} are scored; add tuning.seeds, or equal initializers may get different rates by luck",
            soft_wrap=True,
        )
    yield [_job(base, rate, seed) for base, rates in candidates.items() for rate in rates for seed in seeds]
    for _ in range(tuning.extensions):
        chosen = _choose(loader, master, candidates, seeds)
        further = {base: _beyond(candidates[base], rate) for base, rate in chosen.items()}
        at_edge = {base: rate for base, rate in further.items() if rate is not None}
        if not at_edge:
            break
        best = count(len(at_edge), "config does", "configs do")
        console.print(f"tuning: {best} best at an edge of the grid, which is extended there", soft_wrap=True)
        for base, rate in at_edge.items():
            candidates[base] = sorted([*candidates[base], rate])
        yield [_job(base, rate, seed) for base, rate in at_edge.items() for seed in seeds]
    chosen = _choose(loader, master, candidates, seeds)
    scored = [[*job, f"{_RATE}{chosen[_base(job)]:g}"] for job in jobs if _base(job) in chosen]
    if len(scored) < len(jobs):
        left = len(jobs) - len(scored)
        console.print(f"tuning: {count(left, 'run to be scored waits', 'runs to be scored wait')} for tuning runs")
    if scored and scored_seeds:
        console.print(f"tuning: {count(len(scored), 'run')} to be scored, at the chosen learning rates")
    return scored


def check(loader: CachingConfigLoader, master: DictConfig, jobs: Sequence[Overrides]) -> None:
    """Raise UserMistake where there is no learning rate, or it is swept over, or a seed would choose and be scored."""
    seeds = master.tuning.seeds
    if any(override.startswith(_RATE) for job in jobs for override in job):
        raise UserMistake(
            "optimizer.lr cannot be set with experiment=tuned, which multiplies the config's rate by tuning.lr_factors"
        )
    scored = {override.removeprefix(_SEED) for job in jobs for override in job if override.startswith(_SEED)}
    if both := sorted(scored & set(map(str, seeds))):
        raise UserMistake(
            f"seed={','.join(both)} cannot be scored, because tuning.seeds={list(seeds)} choose the learning rate"
        )

    for base in dict.fromkeys(map(_base, jobs)):
        _rate_of(loader, master, base)


def _rate_of(loader: CachingConfigLoader, master: DictConfig, base: Overrides) -> float:
    rate = OmegaConf.select(loader.load_sweep_config(master, list(base)), "optimizer.lr")
    if not isinstance(rate, int | float):
        raise UserMistake(f"there is no learning rate to tune: optimizer.lr={rate}")
    return float(rate)


def _base(job: Overrides) -> tuple[str, ...]:
    """What is tuned as one: a job but for its seed."""
    return tuple(override for override in job if not override.startswith(_SEED))


def _job(base: Overrides, rate: float, seed: int) -> list[str]:
    return [*base, f"{_SEED}{seed}", f"{_RATE}{rate:g}"]


def _candidates(
    loader: CachingConfigLoader, master: DictConfig, base: Overrides, factors: Sequence[float]
) -> list[float]:
    rate = _rate_of(loader, master, base)
    # Six digits, as they are typed: 0.002 times 0.3 must be the run of optimizer.lr=0.0006.
    return sorted(float(f"{rate * factor:g}") for factor in set(factors))


def _beyond(rates: Sequence[float], best: float) -> float | None:
    """The rate that continues the grid where its first or last is the best, None where neither is."""
    if best == rates[0]:
        beyond = rates[0] * rates[0] / rates[1]
    elif best == rates[-1]:
        beyond = rates[-1] * rates[-1] / rates[-2]
    else:
        return None
    return float(f"{beyond:g}")


def _choose(
    loader: CachingConfigLoader,
    master: DictConfig,
    candidates: dict[tuple[str, ...], list[float]],
    seeds: Sequence[int],
) -> dict[tuple[str, ...], float]:
    """The best rate of each config whose tuning runs are all complete."""
    from initbench.analysis.loading.frame import to_frame
    from initbench.analysis.workload.learning_rate import choose_lr

    chosen = {}
    for base, rates in candidates.items():
        jobs = plan(loader, master, [_job(base, rate, seed) for rate in rates for seed in seeds])
        read = of_study(study_of(master)).read
        rows = [{**(readable(read, job.folder.name) or {"status": None}), "path": str(job.folder)} for job in jobs]
        if all(row["status"] in COMPLETE for row in rows):
            chosen[base] = choose_lr(to_frame(rows))
    return {base: rate for base, rate in chosen.items() if not math.isnan(rate)}
