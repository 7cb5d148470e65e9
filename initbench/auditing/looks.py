"""How the weights of a model look: what two initializations are compared by."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initbench.init.roles import walk

_NEAR = 0.05  # relative, and four standard errors of the root mean square
_MANY = 1000  # elements, from which on a distribution can be told


@dataclass(frozen=True)
class Look:
    """kind: constant, uniform or normal."""

    rms: float
    kind: str
    numel: int

    def is_like(self, other: "Look") -> bool:
        """Whether both may be the same distribution."""
        near = _NEAR if self.kind == "constant" else max(_NEAR, 4 / math.sqrt(2 * self.numel))
        same_kind = self.kind == other.kind or min(self.numel, other.numel) < _MANY
        return same_kind and math.isclose(self.rms, other.rms, rel_tol=near, abs_tol=1e-12)


def plain(tensor: Tensor) -> Tensor:
    """The values as real numbers that everything can be done with."""
    tensor = tensor.detach()
    return torch.view_as_real(tensor).float() if tensor.is_complex() else tensor.float()


@torch.no_grad()
def looks(model: nn.Module) -> dict[str, Look]:
    """The look of every parameter with more than one element, by its name."""
    return {found.name: _look(plain(found.tensor)) for found in walk(model) if found.tensor.numel() > 1}


def _look(tensor: Tensor) -> Look:
    rms, numel = float(tensor.square().mean().sqrt()), tensor.numel()
    if bool((tensor == tensor.flatten()[0]).all()):
        return Look(rms, "constant", numel)
    # The largest of a uniform distribution is sqrt(3) times the rms; a normal one that is cut at two has 2.3.
    is_uniform = float(tensor.abs().max()) < 1.8 * rms
    return Look(rms, "uniform" if is_uniform else "normal", numel)
