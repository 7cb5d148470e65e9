"""`python -m initbench`: the only entry point of Hydra.

Nothing heavy is imported before a job starts, so that --help and --cfg answer at once.
"""

import os
import platform
import signal
import sys
from importlib.metadata import version
from typing import Any, NoReturn

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench import __version__
from initbench.errors import UserMistake, explain
from initbench.record.stopping import Stopped
from initbench.registry import CONF
from initbench.workers.exit import exit_at_once

# The config of the run in this process, once there is one.
_begun: list[DictConfig] = []
# Hydra's words, in a ValueError, for -m together with --cfg, and for init=null.
_OF_HYDRA = ("Only one of --run", "Config group override must be")
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> Any:
    from initbench.sweep.job import run_job

    _begun.append(config)
    try:
        return run_job(config)
    except UserMistake as mistake:
        refuse(mistake)


def entry() -> None:
    """Run `main`; what Hydra refuses ends like what we refuse."""
    if sys.argv[1:] == ["--version"]:
        print(f"initbench {__version__}, torch {version('torch')}, Python {platform.python_version()}")
        return
    is_done = exit_at_once()
    # argparse takes overrides only in one row; people type -m or --config-dir in the middle of them.
    sys.argv[1:] = sorted(sys.argv[1:], key=_is_override)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, instead of printing and exiting with 1
    try:
        main()
        is_done()
    except (HydraException, OmegaConfBaseException, UserMistake) as error:
        refuse(error)
    except Stopped as stop:
        say_how_to_go_on(stop.signum)
    except KeyboardInterrupt:
        say_how_to_go_on(signal.SIGINT)
    except Exception as error:  # of a YAML file, of a launcher's key: Hydra, PyYAML and the system raise their own
        from initbench.sweep.start import launched

        if _begun or launched:
            raise  # what was typed is right, so it is a crash
        refuse(error)
    except SystemExit as end:
        if end.code == 128 + signal.SIGTERM:  # of a launcher that was stopped
            say_how_to_go_on(signal.SIGTERM)
        raise


def _is_override(argument: str) -> bool:
    return argument.startswith("~") or ("=" in argument and not argument.startswith("-"))


def say_how_to_go_on(signum: int) -> NoReturn:
    print("initbench: stopped; type the same command again to continue", file=sys.stderr)
    sys.exit(128 + signum)


def refuse(error: Exception) -> NoReturn:
    """One message and exit code 2; HYDRA_FULL_ERROR=1 in the environment shows the traceback."""
    if _WANTS_TRACEBACK:
        raise error
    is_choice = isinstance(error, MissingConfigException) or str(error).startswith("Config group override must be")
    is_known = isinstance(error, HydraException | OmegaConfBaseException | UserMistake)
    line = (is_choice and no_option(sys.argv[1:])) or explain(error)
    if not is_known and not line.startswith(_OF_HYDRA) and not is_choice:
        line = f"this command cannot be run: {type(error).__name__}: {line} (HYDRA_FULL_ERROR=1 says where)"
    print(f"initbench: {line}", file=sys.stderr)
    sys.exit(2)


def no_option(arguments: list[str]) -> str:
    """The line for the first override that gives a group something other than the name of an option, if any does."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep

    typed = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    for override in OverridesParser.create().parse_overrides(typed):
        group, value = override.key_or_group, override.value()
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
            if not options or isinstance(choice, str) or (group == "experiment" and isinstance(choice, list)):
                continue
            if isinstance(choice, list):
                listed = ",".join(map(str, choice))
                return f"{group}=[{listed}] is several options for one run; a sweep is -m {group}={listed}"
            name = "null" if choice is None else choice
            return f"unknown option {group}={name}. Available in {group}: {', '.join(options)}"
    return ""


if __name__ == "__main__":
    entry()
