"""Fans and blocks told from the module, against hand counts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from initbench.init.layer import describe_layer


@pytest.mark.parametrize(
    "module, key, fans",
    [
        (nn.Linear(64, 10), "weight", (64, 10)),
        (nn.Conv2d(3, 64, 5), "weight", (75, 1600)),
        (nn.Conv1d(3, 8, 7), "weight", (21, 56)),
        (nn.Conv3d(2, 4, 3), "weight", (54, 108)),
        (nn.Conv2d(4, 4, 3, groups=4), "weight", (9, 9)),
        (nn.Conv2d(8, 16, 3, groups=2), "weight", (36, 72)),
        (nn.ConvTranspose2d(3, 64, 4), "weight", (48, 1024)),
        (nn.ConvTranspose2d(8, 4, 3, groups=2), "weight", (36, 18)),
        (nn.MultiheadAttention(64, 4), "in_proj_weight", (64, 64)),
        (nn.LSTM(12, 20), "weight_ih_l0", (12, 20)),
        (nn.GRU(12, 20), "weight_hh_l0", (20, 20)),
        (nn.LSTM(12, 20, proj_size=5), "weight_hr_l0", (20, 5)),
        (nn.GRUCell(12, 20), "weight_ih", (12, 20)),
        (nn.Bilinear(3, 4, 5), "weight", (12, 20)),
        (nn.Linear(64, 10), "bias", (None, None)),
    ],
)
def test_fans(module: nn.Module, key: str, fans: tuple[int, int]) -> None:
    layer = describe_layer("name", module, key, getattr(module, key))
    assert (layer.fan_in, layer.fan_out) == fans


@given(groups=st.integers(1, 3), inputs=st.integers(1, 3), outputs=st.integers(1, 3), kernel=st.integers(1, 3))
def test_blocks_of_a_transposed_convolution_go_there_and_back(
    groups: int, inputs: int, outputs: int, kernel: int
) -> None:
    module = nn.ConvTranspose2d(groups * inputs, groups * outputs, kernel, groups=groups)
    layer = describe_layer("w", module, "weight", module.weight)
    value = torch.arange(module.weight.numel(), dtype=torch.float32).view_as(module.weight)
    blocks = layer.to_blocks(value)
    assert [tuple(block.shape) for block in blocks] == [layer.shape]
    back = torch.empty_like(value)
    layer.from_blocks(blocks, back)
    assert torch.equal(back, value)


def test_a_transposed_block_is_the_convolution_that_it_transposes() -> None:
    """With stride 1 a transposed convolution is the convolution by the swapped, flipped kernel."""
    module = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False)
    layer = describe_layer("w", module, "weight", module.weight)
    (block,) = layer.to_blocks(module.weight.detach())
    images = torch.randn(1, 4, 5, 5)
    expected = nn.functional.conv2d(images, block.flip(2, 3), padding=2, groups=2)
    assert torch.allclose(module(images), expected, atol=1e-6)


def test_gates_are_separate_blocks() -> None:
    module = nn.LSTM(3, 5)
    layer = describe_layer("w", module, "weight_ih_l0", module.weight_ih_l0)
    assert layer.blocks == 4
    assert layer.shape == (5, 3)


def test_a_lazy_parameter_has_no_shape_yet() -> None:
    module = nn.LazyLinear(3)
    with pytest.raises(ValueError, match="lazy"):
        describe_layer("head.weight", module, "weight", module.weight)
