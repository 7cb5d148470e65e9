"""What is counted by hand in a model (families_by_hand.py), and the inputs of the models."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

IDS = torch.arange(16).view(2, 8)
IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
LAYERS_2 = [0, 0, 1, 1]  # one attention and one MLP in each of two layers
# A decoder layer attends to itself and to the encoder, and has an MLP.
PAIR = {"depths": [*LAYERS_2, 0, 0, 0, 1, 1, 1], "streams": [0] * 4 + [1] * 6}


@dataclass
class Facts:
    """The parts of a model; `inputs` are left empty for those that are not run."""

    make: Callable[[], nn.Module]
    inputs: tuple[Tensor | None, ...]
    depths: list[int]  # of the branches, in execution order: as many as there are branches
    heads: list[tuple[int, int]] = field(default_factory=list)  # of each attention: of queries, of keys and values
    others: int = 0  # attentions that do not make queries, keys and values of the same features
    block: str = ""
    matrices: str = ""  # of the branches of this block: purpose and layer in turn
    total: int = 0  # the number of matrices of all branches
    positions: list[str] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)  # of the branches, if they do not all add to the same features
    gates: int = 0
