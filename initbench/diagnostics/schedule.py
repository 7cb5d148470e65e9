"""The steps at which a run is diagnosed."""

from collections.abc import Mapping
from typing import Any

POWERS = "powers_of_two"


def asked_for(config: Mapping[str, Any]) -> bool:
    """Whether a config asks for diagnostics; decided by its steps, not its `name`."""
    return bool(config["steps"]) or config["every"] is not None


class Schedule:
    """The steps of conf/diagnostics/*.yaml, for `step in schedule`; false if there are none.

    config: `steps` is a list of steps or `powers_of_two` (0, 1, 2, 4, 8, ...); `every` adds all multiples of a number,
    including 0. Step t comes after t updates of the weights.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.steps, self.every = config["steps"], config["every"]

    def __bool__(self) -> bool:
        return asked_for(vars(self))

    def __contains__(self, step: int) -> bool:
        # A power of two has one bit set, and no bit in common with the number before it.
        listed = step & (step - 1) == 0 if self.steps == POWERS else step in self.steps
        return listed or (self.every is not None and step % self.every == 0)
