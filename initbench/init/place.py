"""The place of a weight matrix in the order in which the matrices of its model are used."""

from dataclasses import dataclass

from initbench.init.roles import MATRICES
from initbench.init.structure import Parts


@dataclass(frozen=True, eq=False)
class Place:
    """Like Position, but the model is run only if someone asks.

    The first matrix need not be the first parameter: embeddings do not count. If the model ends with the weight of an
    embedding, which a head shares, no matrix is the last.
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
        names = (found.name for found in self.parts.matrices if found.role in MATRICES)
        return next(names, None) == self.name

    @property
    def is_last(self) -> bool:
        """Whether it is the weight matrix that the model uses last, usually the classifier."""
        return bool(self.parts.matrices) and self.parts.matrices[-1].name == self.name
