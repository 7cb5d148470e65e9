"""A process that logs rows until it is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from initbench.logger import RunInfo


def log_until_killed(run: RunInfo, conf: Mapping[str, Any], rows: int) -> int:
    """Log a row every 0.05 s, kill the process after so many; return how many it has handed over."""
    script = f"""
import time
from pathlib import Path
from initbench.logger import RunInfo, prepare
run = RunInfo(Path({str(run.folder)!r}), "depth", "n", [], {{}}, "1a2b3c", 1, False)
(logger,) = prepare({conf!r})(run)
for step in range(10_000):
    logger.log_metrics({{"loss": 1.0}}, step)
    print(step, flush=True)
    time.sleep(0.05)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(rows)]
        os.kill(process.pid, signal.SIGKILL)
        return int([*printed, *process.stdout.read().splitlines()][-1]) + 1
