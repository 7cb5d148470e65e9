"""The place of a weight matrix among those of its model, in the order in which they are used."""

from dataclasses import dataclass

from torch import nn

from initbench.init.memory import storage_of
from initbench.init.roles import MATRICES, NamedParameter
from initbench.init.structure.parts import Parts

POSITIONS = ("first", "last")


@dataclass(frozen=True, eq=False)
class Place:
    """The model is run only when a place is asked for.

    Embeddings do not count, so the first matrix may not be the first parameter. If the head of the model shares the
    weight of an embedding, no matrix is the last.
    """

    name: str
    parts: Parts

    @property
    def count(self) -> int:
        """The number of matrices that the model uses."""
        return len({found.name for found in self.parts.matrices if found.role in MATRICES})

    @property
    def is_first(self) -> bool:
        """Whether it is the first weight matrix that the model uses, which usually reads the data."""
        matrix = matrix_at("first", self.parts)
        return matrix is not None and matrix.name == self.name

    @property
    def is_last(self) -> bool:
        """Whether it is the weight matrix that the model uses last, usually the classifier."""
        matrix = matrix_at("last", self.parts)
        return matrix is not None and matrix.name == self.name


def matrix_at(position: str, parts: Parts) -> NamedParameter | None:
    """The matrix that the model uses first (embeddings do not count) or last; None if it has none."""
    used = parts.matrices if position == "last" else [found for found in parts.matrices if found.role in MATRICES]
    return used[-1 if position == "last" else 0] if used else None


def holds(module: nn.Module, matrix: NamedParameter) -> bool:
    """Whether a matrix is a parameter of the module itself. Several modules may share it."""
    key = storage_of(matrix.tensor)
    return module is matrix.module or any(storage_of(each) == key for each in module.parameters(recurse=False))
