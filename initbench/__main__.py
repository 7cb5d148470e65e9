"""`python -m initbench`: the only entry point of Hydra.

Nothing heavy is imported before a job starts, so that --help and --cfg answer at once.
"""

import os
import signal
import sys
from typing import Any, NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench.errors import UserMistake, explain
from initbench.record.stopping import Stopped
from initbench.registry import CONF
from initbench.workers.exit import exit_at_once

_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> Any:
    from initbench.sweep.job import run_job

    try:
        return run_job(config)
    except UserMistake as mistake:
        refuse(mistake)


def entry() -> None:
    """Run `main`; what Hydra refuses ends like what we refuse."""
    is_done = exit_at_once()
    # argparse takes overrides only in one row; people type -m or --config-dir in the middle of them.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda argument: "=" in argument and not argument.startswith("-"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, instead of printing and exiting with 1
    try:
        main()
        is_done()
    except (HydraException, OmegaConfBaseException, UserMistake) as error:
        refuse(error)
    except ValueError as error:
        if not str(error).startswith("Only one of --run"):  # Hydra's word for -m together with --cfg
            raise
        refuse(error)
    except Stopped as stop:
        say_how_to_go_on(stop.signum)
    except KeyboardInterrupt:
        say_how_to_go_on(signal.SIGINT)
    except SystemExit as end:
        if end.code == 128 + signal.SIGTERM:  # of a launcher that was stopped
            say_how_to_go_on(signal.SIGTERM)
        raise


def say_how_to_go_on(signum: int) -> NoReturn:
    print("initbench: stopped; type the same command again to go on", file=sys.stderr)
    sys.exit(128 + signum)


def refuse(error: Exception) -> NoReturn:
    """One message and exit code 2; HYDRA_FULL_ERROR=1 in the environment shows the traceback."""
    if _WANTS_TRACEBACK:
        raise error
    print(f"initbench: {explain(error)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    entry()
