"""What a worker of a sweep is sent beside single runs: functions that import torch only where they are called."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.utils import JobReturn, JobStatus


@dataclass
class Outcome:
    """What became of the runs of a pack, by the names of their folders; of those that another process is at, nothing.

    `said` is for people: several workers on one terminal would write over each other, so their parent speaks for them.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)  # those that ended
    alone: dict[str, str] = field(default_factory=dict)  # why others have to be trained by themselves
    too_large: list[list[str]] = field(default_factory=list)  # packs for which there was too little memory
    said: list[str] = field(default_factory=list)


@dataclass
class Steps:
    """Seconds of a step of one model, trained alone, and in a pack of so many, where it is a part of the pack's."""

    alone: float = 0.0
    packed: dict[int, float] = field(default_factory=dict)
    obstacle: str | None = None  # why it cannot be packed


def train(configs: list[dict[str, Any]]) -> JobReturn:
    """Returns the Outcome of a pack."""
    from initbench.packed.train import train_pack
    from initbench.record.stopping import stoppable

    with stoppable():
        return _completed(train_pack(configs))


def measure(argument: tuple[list[dict[str, Any]], int]) -> JobReturn:
    """Returns the Steps of runs of one kind; the number is that of the slots that share a device."""
    from initbench.packed.measure import measure

    return _completed(measure(*argument))


def _completed(value: Any) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED, _return_value=value)
