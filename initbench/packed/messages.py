"""What a worker of a sweep is sent beside single runs: functions that import torch only where they are called."""

from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from initbench.record.plain import PlainConfig


def train(configs: list[PlainConfig]) -> JobReturn:
    """Returns the Outcome of a pack."""
    from initbench.packed.train import train_pack
    from initbench.record.stopping import stoppable

    with stoppable():
        return _completed(train_pack(configs))


def measure(argument: tuple[list[PlainConfig], int]) -> JobReturn:
    """Returns the Steps of runs of one kind; the number is that of the slots that share a device."""
    from initbench.packed.measure import measure

    return _completed(measure(*argument))


def _completed(value: Any) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED, _return_value=value)
