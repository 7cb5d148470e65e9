"""`python -m initbench`: the only entry point of Hydra.

Nothing heavy is imported before a job starts, so that --help and --cfg answer at once.
"""

import os
import platform
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench import __version__, interrupt, streams
from initbench.command_line import end_with_traceback, not_written
from initbench.config.typed import another_way, needs_multirun, no_option, readable, without_multirun
from initbench.errors import UserMistake, explain
from initbench.masking import hide, hide_all
from initbench.record.stopping import Stopped
from initbench.registry import CONF
from initbench.wording import visible
from initbench.workers.exit import exit_at_once

# The config of the run in this process, once there is one.
_begun: list[DictConfig] = []
# Hydra's words, in a ValueError, for -m together with --cfg, and for init=null.
_OF_HYDRA = ("Only one of --run", "Config group override must be")
# Hydra makes a copy of all structured configs for every group that --help lists, which takes as long as the rest of
# it. A config that is loaded from the store is copied by itself.
setattr(ConfigStore, "__deepcopy__", lambda store, memo: store)  # noqa: B010 - mypy refuses an assignment
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> Any:
    from initbench.sweep.job import run_job

    if not config.dry_run:
        _begun.append(config)
    try:
        return run_job(config)
    except UserMistake as mistake:
        refuse(mistake)
    except Exception:  # Hydra would print the overrides, with the secrets among them
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            raise
        end_with_traceback()


def entry() -> None:
    """Run `main`; what Hydra refuses ends like what we refuse."""
    streams.protect()
    interrupt.end_guard()
    if not sys.flags.safe_path and sys.path[:1] != [str(Path.cwd())]:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: modules of the user's own are looked for there
    hide_all(sys.argv[1:])  # so that the secrets among them are known, and masked in every message
    is_done = exit_at_once()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, instead of printing and exiting with 1
    try:
        if "--version" in sys.argv[1:]:
            print(f"initbench {__version__}, torch {version('torch')}, Python {platform.python_version()}")
        else:
            sys.argv[1:] = readable(sys.argv[1:])
            compose_and_run()
        _end()
        is_done()
    except (HydraException, OmegaConfBaseException, UserMistake) as error:
        refuse(error)
    except Stopped as stop:
        say_how_to_go_on(stop.signum)
    except KeyboardInterrupt:
        say_how_to_go_on(signal.SIGINT)
    except Exception as error:  # of a YAML file, of a launcher's key: Hydra, PyYAML and the system raise their own
        if _has_run():
            end_with_traceback()  # what was typed is right, so it is a crash
        refuse(error)
    except SystemExit as end:
        if end.code == 128 + signal.SIGTERM:  # of a launcher that was stopped
            say_how_to_go_on(signal.SIGTERM)
        if not end.code:
            _end()
        raise


def _end() -> None:
    """Exit with 1 if what was asked for could not be printed; runs are in their records, whatever could be printed."""
    sys.stdout.flush()
    if not_written() and not _has_run():
        sys.exit(1)


def _has_run() -> bool:
    launched = sys.modules.get("initbench.sweep.start")  # not imported for --help
    return bool(_begun or (launched and launched.launched))


def compose_and_run() -> None:
    """`main`, once more where Hydra refuses a command that can be typed in another way."""
    try:
        main()
    except ConfigCompositionException as error:
        if not (arguments := another_way(sys.argv[1:], error)):
            raise
        sys.argv[1:] = arguments
        compose_and_run()


def say_how_to_go_on(signum: int) -> NoReturn:
    if begun := getattr(sys.modules.get("initbench.sweep.start"), "begun", None):
        from initbench.sweep.summary import end_stopped

        end_stopped(begun[0])
    print("initbench: stopped; type the same command again to continue", file=sys.stderr)
    sys.exit(128 + signum)


def refuse(error: Exception) -> NoReturn:
    """One message and exit code 2; HYDRA_FULL_ERROR=1 in the environment shows the traceback."""
    if _WANTS_TRACEBACK:
        raise error
    is_choice = isinstance(error, MissingConfigException) or str(error).startswith("Config group override must be")
    is_known = isinstance(error, HydraException | OmegaConfBaseException | UserMistake)
    line = (is_choice and no_option(sys.argv[1:])) or explain(error)
    if needs_multirun(error):
        line = without_multirun(sys.argv[1:])
    if not is_known and not line.startswith(_OF_HYDRA) and not is_choice:
        line = f"this command cannot be run: {type(error).__name__}: {line} (HYDRA_FULL_ERROR=1 says where)"
    print(f"initbench: {visible(hide(line))}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    entry()
