"""One run on several processes of this machine, one a device."""

from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

Result = TypeVar("Result")


def spawn(function: Callable[..., Result], processes: int, *args: object) -> Result:
    """Call `function(*args)` in `processes` new processes and return what the first one returned.

    torchrun's own launcher, as a function: Lightning finds the environment that it sets and starts nothing by
    itself. Lightning's launcher would start this program again with the same command line, and in a
    multirun that means the whole sweep again. Raises the error of the first process that failed.
    """
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

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
    results: dict[int, Result] = elastic_launch(config, function)(*args)
    return results[0]
