"""An initializer that scales all settings of the optimizer that one can."""

from collections.abc import Sequence

from torch import Generator, Tensor, nn

from initbench.init import Assignment, Factors
from initbench.init.declarations import optimizer_rule


def _factors(assignments: Sequence[Assignment], adaptive: bool, *, eps: float = 1.0) -> dict[str, Factors]:
    hidden = (a for a in assignments if a.layer.position and not a.layer.position.is_first)
    return {a.parameter.name: Factors(lr=0.5, eps=eps, weight_decay=3) for a in hidden}


@optimizer_rule(_factors)
def scaling(tensor: Tensor, generator: Generator, *, eps: float = 1.0) -> None:
    """N(0, 0.1^2), and in all matrices but the first half the rate, three times the decay, and `eps` times the eps."""
    nn.init.normal_(tensor, std=0.1, generator=generator)
