"""What is checked before a sweep's first job, and what begins with the sweep: its id and its live view."""

import sys
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from initbench.config.check import check_sweep
from initbench.console import errors
from initbench.record.store import check_writable
from initbench.record.sweep_id import begin_sweep
from initbench.status import live


def start(config: DictConfig) -> str:
    """Begin a sweep and return its id; exit with code 2 if none of its jobs could run."""
    try:
        # As typed: there is no job yet that ${hydra:...} could be of.
        _refuse_several_studies(_overrides(config.hydra))
        _refuse_dots(config.hydra)
        check_sweep(config)
        check_writable(config.runs_dir)
    except ValueError as error:
        # Hydra turns an exception of a callback into a warning and goes on.
        errors.print(f"initbench: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    sweep = begin_sweep()
    if not config.dry_run:
        live.start(config, preload="initbench.report.write")
    return sweep


def _overrides(hydra: DictConfig) -> list[str]:
    """What was typed, and what a config, such as a study's, sweeps over, as it would be."""
    typed: Any = OmegaConf.to_container(hydra.overrides.task)
    sweeper: Any = OmegaConf.to_container(hydra.sweeper)
    return [*typed, *(f"{key}={value}" for key, value in (sweeper.get("params") or {}).items())]


def _refuse_several_studies(overrides: list[str]) -> None:
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            continue
        if key in ("study", "runs_dir"):
            raise ValueError(f"{key} cannot be swept over: the runs of a sweep are compared, so they share a study")
        if key.partition(".")[0] == "report":
            raise ValueError(f"{key} cannot be swept over: a study has one report")


def _refuse_dots(hydra: DictConfig) -> None:
    for group in ("launcher", "sweeper"):
        if isinstance(hydra[group], str):
            raise ValueError(f"hydra.{group}={hydra[group]} sets a key; an option is chosen by hydra/{group}=...")
