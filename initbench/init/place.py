"""The place of a weight matrix among those of its model, in the order in which they are used."""

from dataclasses import dataclass

from initbench.init.roles import MATRICES
from initbench.init.structure.parts import Parts


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
        names = (found.name for found in self.parts.matrices if found.role in MATRICES)
        return next(names, None) == self.name

    @property
    def is_last(self) -> bool:
        """Whether it is the weight matrix that the model uses last, usually the classifier."""
        return bool(self.parts.matrices) and self.parts.matrices[-1].name == self.name
