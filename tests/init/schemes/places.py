"""Places of weight matrices in a model that uses one after the other."""

from torch import nn

from initbench.init.place import Place
from initbench.init.structure.parts import Parts


def place(index: int, count: int) -> Place:
    """The place at `index` among `count` matrices."""
    return Place(f"{index}.weight", Parts(nn.Sequential(*(nn.Linear(2, 2) for _ in range(count)))))
