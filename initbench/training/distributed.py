"""One run on several processes of this machine, one a device."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from initbench import streams
from initbench.record.stopping import Stopped, stoppable

Result = TypeVar("Result")

# For the processes to save the run when a signal asks for its end.
_SHUTDOWN_SECONDS = 4


def spawn(function: Callable[..., Result], processes: int, *args: object) -> Result:
    """Call `function(*args)` in `processes` new processes and return what the first one returned.

    torchrun's own launcher, as a function: Lightning finds the environment that it sets and starts nothing by
    itself. Lightning's launcher would start this program again with the same command line, and in a
    multirun that means the whole sweep again. Raises the error of the first process that failed, and Stopped when a
    signal has asked for the end.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What a process died of is in the error that is raised; that processes are told to end is no news.
    for name in (
        "distributed.elastic.agent.server.api",
        "distributed.elastic.multiprocessing.api",
        "multiprocessing.spawn",
    ):
        logging.getLogger(f"torch.{name}").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id=uuid4().hex,
        max_restarts=0,
        start_method="spawn",
    )
    config.shutdown_timeout = _SHUTDOWN_SECONDS  # not an argument in torch 2.11, which waits for 30 seconds
    try:
        results: dict[int, Result] = elastic_launch(config, _rank)(os.getpid(), function, *args)
    except SignalException as signal:
        raise Stopped(signal.sigval) from None
    return results[0]


def _rank(parent: int, function: Callable[..., Result], *args: object) -> Result:
    """`function(*args)` in one of the processes: it stops when asked to, and never outlives its parent."""
    streams.protect()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    try:
        with stoppable():
            return function(*args)
    except Stopped as stopped:
        sys.exit(128 + stopped.signum)


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
