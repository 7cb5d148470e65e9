"""For commands that train by a sweep of their own: what was typed, the config of its first job, and that sweep."""

import signal
import subprocess
import sys
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench.config.check import check, check_parts, check_targets
from initbench.config.resolve import resolve
from initbench.config.typed import readable
from initbench.errors import UserMistake, explain
from initbench.record.plain import PlainConfig
from initbench.registry import CONF


def parsed(arguments: Sequence[str]) -> list[Override]:
    """The overrides that were typed. Raises UserMistake for what Hydra cannot read."""
    try:
        return OverridesParser.create().parse_overrides(readable(arguments))
    except HydraException as error:
        raise UserMistake(explain(error)) from error


def first_job(typed: Sequence[Override]) -> tuple[PlainConfig, DictConfig]:
    """The config of the job with the first of all values, and what Hydra composed it from.

    Raises UserMistake unless it can be run.
    """
    lines = [_first(override) for override in typed]
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            master = compose("config", lines, return_hydra_config=True)
        config = resolve(master, master.hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserMistake(explain(error)) from error
    check(config, lines)
    check_targets(config)
    check_parts(config)
    return config, master


def _first(override: Override) -> str:
    """An override with the first of its values, if it has several."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def sweep(overrides: Sequence[str]) -> int:
    """The exit code of `python -m initbench -m` with these overrides.

    A process of its own, as it ends its process itself. It has the same terminal, and is told to stop by Ctrl-C there;
    this one waits for it.
    """
    process = subprocess.Popen([sys.executable, "-m", "initbench", "-m", *overrides])
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        code = process.wait()
        return code if code >= 0 else 128 - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
