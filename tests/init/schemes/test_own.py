"""The control: each module's own initialization, by the expected deviation and with nothing else changed."""

import copy
import math

import pytest
import torch
from torch import Generator, nn

from initbench import describe, initialize
from initbench.init.layer import describe_layer
from initbench.init.schemes.own import default_

HIDDEN = 40


@pytest.mark.parametrize(
    "module, expected",
    [
        (nn.Linear(50, 60), {"weight": 1 / math.sqrt(150), "bias": 1 / math.sqrt(150)}),
        (nn.Conv2d(8, 400, 3, groups=4), {"weight": 1 / math.sqrt(54), "bias": 1 / math.sqrt(54)}),
        (nn.ConvTranspose1d(8, 400, 3), {"weight": 1 / math.sqrt(3600), "bias": 1 / math.sqrt(3600)}),
        (nn.GRU(7, HIDDEN), dict.fromkeys(("weight_ih_l0", "bias_hh_l0"), 1 / math.sqrt(3 * HIDDEN))),
        (nn.LSTMCell(7, HIDDEN), dict.fromkeys(("weight_hh", "bias_ih"), 1 / math.sqrt(3 * HIDDEN))),
        (nn.Embedding(90, 30), {"weight": 1.0}),
        (nn.EmbeddingBag(90, 30), {"weight": 1.0}),
        (nn.LayerNorm(9), {"weight": 0.0, "bias": 0.0}),
        (nn.MultiheadAttention(30, 2), {"out_proj.weight": 1 / math.sqrt(90), "out_proj.bias": 0.0}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_torchs_defaults_have_the_expected_deviation(module: nn.Module, expected: dict[str, float]) -> None:
    table = describe(nn.Sequential(module), "default", bias="default", norm_scale="default").set_index("parameter")
    for key, std in expected.items():
        row = table.loc[f"0.{key}"]
        assert row["std_expected"] == pytest.approx(std)
        size = nn.Sequential(module).get_parameter(f"0.{key}").numel()
        assert row["std"] == pytest.approx(std, rel=5 / math.sqrt(2 * size)), key


def test_the_projections_of_an_attention_are_xaviers_and_their_biases_zero() -> None:
    """Which torch does in a method whose name is private."""
    attention = nn.MultiheadAttention(30, 2)
    for parameter in attention.parameters():
        nn.init.constant_(parameter, 7.0)
    initialize(attention, "default", bias="default")
    bound = math.sqrt(6 / (30 + 90))
    assert 0.95 * bound < float(attention.in_proj_weight.detach().abs().max()) <= bound
    assert not attention.in_proj_bias.any()
    assert not attention.out_proj.bias.any()


def test_only_the_tensor_is_filled_and_no_global_number_is_drawn() -> None:
    module = nn.BatchNorm1d(5)
    module(torch.randn(8, 5) + 3)
    nn.init.constant_(module.weight, 7.0)
    before, state = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    tensor = torch.full((5,), math.nan)
    default_(tensor, describe_layer("weight", module, "weight", module.weight), Generator().manual_seed(0))
    assert tensor.tolist() == [1.0] * 5
    linear = nn.Linear(5, 4)
    kept = copy.deepcopy(linear.state_dict())
    state = torch.get_rng_state()
    drawn = [torch.empty(4, 5) for _ in range(3)]
    for values, seed in zip(drawn, (0, 0, 1), strict=True):
        default_(values, describe_layer("weight", linear, "weight", linear.weight), Generator().manual_seed(seed))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), state)
    for module_, own in ((module, before), (linear, kept)):
        assert all(torch.equal(value, own[name]) for name, value in module_.state_dict().items())
