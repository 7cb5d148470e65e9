"""The steps at which a run is diagnosed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initbench.schema.config import Diagnostics

POWERS = "powers_of_two"


class Schedule:
    """The steps of conf/diagnostics/*.yaml, for `step in schedule`; false if there are none, whatever its `name`.

    config: `steps` is a list of steps or `powers_of_two` (0, 1, 2, 4, 8, ...); `every` adds all multiples of a number,
    including 0. Step t comes after t updates of the weights.
    """

    def __init__(self, config: "Diagnostics") -> None:
        self.steps, self.every = config.steps, config.every

    def __bool__(self) -> bool:
        return bool(self.steps) or self.every is not None

    def __contains__(self, step: int) -> bool:
        # A power of two has one bit set, and no bit in common with the number before it.
        listed = step & (step - 1) == 0 if self.steps == POWERS else step in self.steps
        return listed or (self.every is not None and step % self.every == 0)
