"""Inputs that a model accepts are guessed from its first layers, its attributes and its position embeddings."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from running import ReZero
from torch import Tensor, nn

from initbench.init.structure.example import examples
from initbench.init.structure.parts import find_branches


class Wanting(nn.Module):
    """A residual block behind layers that take inputs of one shape, the batch left out."""

    def __init__(self, shape: tuple[int, ...], first: nn.Module, **attributes: Any) -> None:
        super().__init__()
        self.shape, self.first, self.block = shape, first, ReZero()
        for key, value in attributes.items():
            setattr(self, key, value)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == self.shape
        return self.block(self.first(x).flatten(1)[:, :8])


def positions(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Wanting((23,), nn.Embedding(50, 8), pos_embed=positions(1, 23, 8)),
        lambda: Wanting((23,), nn.Embedding(50, 8), position=positions(23, 8)),
        lambda: Wanting((23, 5), nn.Linear(5, 8), pos_embed=positions(1, 23, 8)),
        lambda: Wanting((3, 40, 40), nn.Conv2d(3, 8, 3), img_size=40),
        lambda: Wanting((3, 24, 40), nn.Conv2d(3, 8, 3), image_size=(24, 40)),
        lambda: Wanting((3, 24, 40), nn.Conv2d(3, 8, 3), pretrained_cfg={"input_size": (3, 24, 40)}),
        lambda: Wanting((2, 16), nn.Conv1d(2, 8, 3)),
        lambda: Wanting((2, 8, 32, 32), nn.Conv3d(2, 8, 3)),
        lambda: Wanting((16, 5), nn.LayerNorm(5)),
        lambda: Wanting((16, 8), nn.MultiheadAttention(8, 2).out_proj),
        lambda: Wanting((1, 28, 28), nn.Sequential(nn.Flatten(), nn.Linear(784, 8))),
    ],
    ids=[
        "ids", "ids, two dimensions", "features", "square", "rectangle", "configuration", "signal", "volume", "norm",
        "projection", "flattened",
    ],
)  # fmt: skip  # several values to a line
def test_the_one_shape_that_a_model_takes_is_found(build: Callable[[], nn.Module]) -> None:
    assert [branch.name for branch in find_branches(build())] == ["block.f"]


class TwoInputs(nn.Module):
    """Needs two arguments; what is optional must not be given."""

    def __init__(self) -> None:
        super().__init__()
        self.block = ReZero()

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None = None, *rest: Tensor, scale: float = 1) -> Tensor:
        assert mask is None
        return self.block(x + y) * scale


def test_each_required_argument_is_given_and_no_optional_one() -> None:
    assert [branch.name for branch in find_branches(TwoInputs())] == ["block.f"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_numbers_have_the_dtype_of_the_model_and_ids_are_among_those_it_knows(dtype: torch.dtype) -> None:
    assert next(examples(nn.Linear(5, 8).to(dtype)))[0].dtype == dtype
    for (ids,) in examples(nn.Sequential(nn.Embedding(3, 8).to(dtype), nn.Linear(8, 8).to(dtype))):
        if not ids.is_floating_point():
            assert (int(ids.min()), int(ids.max())) == (0, min(2, ids.numel() - 1))
