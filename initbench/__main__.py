"""`python -m initbench`: the only entry point of Hydra.

Nothing heavy is imported before a job starts, so that --help and --cfg answer at once.
"""

import os
import sys
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench import CONF
from initbench.mistakes import UserMistake, explain


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> Any:
    from initbench.sweep.job import run_job

    return run_job(config)


def entry() -> None:
    """Run `main` with a user's mistake as one message and exit code 2; HYDRA_FULL_ERROR=1 shows the traceback."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, instead of printing and exiting with 1
    try:
        main()
    except (UserMistake, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"initbench: {explain(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    entry()
