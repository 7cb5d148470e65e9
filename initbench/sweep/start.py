"""What is checked before a sweep's first job, and what begins with the sweep: its id and its live view."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from initbench.config.check import check_sweep
from initbench.config.paths import expand_all
from initbench.console import errors
from initbench.errors import UserMistake
from initbench.masking import hide
from initbench.record.store import check_writable
from initbench.record.sweep_id import begin_sweep
from initbench.status import live
from initbench.wording import visible

_MOST_VALUES = 100_000  # of one key

# How many jobs this process has handed to a launcher, launch by launch.
launched: list[int] = []
# The study of the sweep that this process has begun.
begun: list[Path] = []


def start(config: DictConfig) -> str:
    """Begin a sweep and return its id; exit with code 2 if none of its jobs could run."""
    try:
        _refuse_dots(config.hydra)
        # As typed: there is no job yet that ${hydra:...} could be of.
        _refuse_several_studies(_overrides(config.hydra))
        check_sweep(config)
        config.runs_dir = expand_all(config.runs_dir)  # of a YAML file; in overrides it is expanded already
        check_writable(config.runs_dir)
        check_writable(config.hydra.sweep.dir, "hydra.sweep.dir")
        if config.dry_run and "direction" in config.hydra.sweeper:
            raise ValueError("dry_run cannot tell what this sweeper will try, as that depends on results")
        if config.until is not None and "PlanningSweeper" not in config.hydra.sweeper._target_:
            raise ValueError(
                f"until={config.until} decides itself what is run next: it is not for another hydra/sweeper"
            )
    except ValueError as error:
        # Hydra turns an exception of a callback into a warning and goes on.
        errors.print(visible(hide(f"initbench: {error}")), markup=False, soft_wrap=True)
        sys.exit(2)
    sweep = begin_sweep()
    begun.append(Path(config.runs_dir) / str(config.study))
    if not config.dry_run:
        live.start(config, preload="initbench.report.write")
    return sweep


def _overrides(hydra: DictConfig) -> list[str]:
    """What was typed, and what a config, such as a study's, sweeps over, as it would be."""
    typed: Any = OmegaConf.to_container(hydra.overrides.task)
    sweeper: Any = OmegaConf.to_container(hydra.sweeper)
    params = sweeper.get("params") or {}
    if not isinstance(params, dict):
        raise ValueError(f"hydra.sweeper.params must be a mapping of keys to what they are swept over, got {params}")
    return [*typed, *(f"{key}={value}" for key, value in params.items())]


def _refuse_several_studies(overrides: list[str]) -> None:
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            continue
        if key in ("study", "runs_dir"):
            raise ValueError(f"{key} cannot be swept over: the runs of a sweep are compared, so they share a study")
        if key in ("dry_run", "force"):
            raise ValueError(f"{key} cannot be swept over: it says what to do with the whole sweep")
        if key == "until" or key.partition(".")[0] == "race":
            raise ValueError(f"{key} cannot be swept over: it says how seeds are added in the whole sweep")
        if key.partition(".")[0] == "report":
            raise ValueError(f"{key} cannot be swept over: a study has one report")


def check_values(overrides: Sequence[Override]) -> None:
    """Raise UserMistake for a sweep over no values, or over more than anybody runs."""
    for override in overrides:
        if not override.is_sweep_override():
            continue
        if override.is_interval_sweep():
            listed = f"{override.get_key_element()}=1,2,4"
            raise UserMistake(f"{override.input_line} is an interval; a grid needs a list of values, such as {listed}")
        try:
            values = list(islice(override.sweep_string_iterator(), _MOST_VALUES + 1))
        except ValueError as error:  # of a range whose step is 0
            raise UserMistake(f"{override.input_line}: {error}") from error
        if not values:
            raise UserMistake(f"{override.input_line} has no values, so there is nothing to run")
        if len(values) > _MOST_VALUES:
            raise UserMistake(f"{override.input_line} has more than {_MOST_VALUES:,} values")


def _refuse_dots(hydra: DictConfig) -> None:
    for group in ("launcher", "sweeper"):
        if not isinstance(hydra[group], DictConfig):
            raise ValueError(f"hydra.{group}={hydra[group]} sets a key; an option is chosen by hydra/{group}=...")
