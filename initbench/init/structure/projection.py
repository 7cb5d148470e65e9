"""A projection: the part of a layer's weight that makes certain output features."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initbench.init.parametrized import write
from initbench.init.probing import is_input_first
from initbench.init.roles import value_of


@dataclass(frozen=True)
class Projection:
    """The rows of `module.<key>` that make certain output features; all rows if `rows` is None."""

    name: str  # qualified name of the parameter
    module: nn.Module
    key: str = "weight"
    rows: tuple[int, ...] | None = None  # head by head in attentions

    @property
    def weight(self) -> Tensor:
        """A copy of shape (features out, features in, *kernel), as in nn.Linear."""
        weight = self._oriented(value_of(self.module, self.key).detach())
        return (weight if self.rows is None else weight[list(self.rows)]).clone()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `weight`."""
        out, *rest = self._oriented(value_of(self.module, self.key)).shape
        return (out if self.rows is None else len(self.rows), *rest)

    @torch.no_grad()
    def write(self, value: Tensor) -> None:
        """Set `weight` to a tensor of its shape; a parametrized one through its right_inverse."""
        whole = value_of(self.module, self.key).detach().clone()
        part = self._oriented(whole)  # a view of it
        part[slice(None) if self.rows is None else list(self.rows)] = value.to(whole)
        write(self.module, self.key, whole)

    def _oriented(self, weight: Tensor) -> Tensor:
        return weight.T if self.key == "weight" and is_input_first(self.module) else weight
