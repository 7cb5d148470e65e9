"""Every parameter once, with the role that its module gives it."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from initbench.init.roles import walk


def roles(model: nn.Module) -> dict[str, str]:
    return {found.name: found.role for found in walk(model)}


def test_roles_of_a_mixed_model() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 4))
            self.embedding = nn.Embedding(5, 4)
            self.conv = nn.Conv2d(1, 2, 3)
            self.batch_norm = nn.BatchNorm2d(2)
            self.layer_norm = nn.LayerNorm(4)
            self.rms_norm = nn.RMSNorm(4)
            self.attention = nn.MultiheadAttention(4, 2)
            self.rnn = nn.GRU(4, 4)
            self.prelu = nn.PReLU()

    assert roles(Mixed()) == {
        "token": "other",
        "embedding.weight": "embedding",
        "conv.weight": "weight",
        "conv.bias": "bias",
        "batch_norm.weight": "norm_scale",
        "batch_norm.bias": "norm_shift",
        "layer_norm.weight": "norm_scale",
        "layer_norm.bias": "norm_shift",
        "rms_norm.weight": "norm_scale",
        "attention.in_proj_weight": "attention_in",
        "attention.in_proj_bias": "bias",
        "attention.out_proj.weight": "weight",
        "attention.out_proj.bias": "bias",
        "rnn.weight_ih_l0": "recurrent_input",
        "rnn.weight_hh_l0": "recurrent_hidden",
        "rnn.bias_ih_l0": "bias",
        "rnn.bias_hh_l0": "bias",
        "prelu.weight": "other",
    }


@pytest.mark.parametrize("name", ["RMSNorm", "RmsNorm", "LlamaRMSNorm", "T5RmsNorm"])
def test_an_rms_norm_is_a_norm_by_the_name_of_its_class(name: str) -> None:
    norm = type(name, (nn.Module,), {})()
    norm.weight, norm.gain = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
    assert roles(norm) == {"weight": "norm_scale", "gain": "other"}
    other = type(f"{name}Linear", (nn.Module,), {})()
    other.weight = nn.Parameter(torch.ones(4, 4))
    assert roles(other) == {"weight": "weight"}


def test_separate_attention_projections_are_projections() -> None:
    found = roles(nn.MultiheadAttention(4, 2, kdim=3, vdim=5))
    assert {found[f"{name}_proj_weight"] for name in "qkv"} == {"attention_in"}


def test_shared_storage_is_listed_once_under_its_first_name() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert list(roles(model)) == ["0.weight", "0.bias", "1.bias"]


def test_a_parametrized_weight_is_listed_under_its_own_name() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 2))
    assert roles(model) == {"0.bias": "bias", "0.weight": "weight", "1.weight": "weight", "1.bias": "bias"}


def test_the_hook_based_spectral_norm_is_refused() -> None:
    model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 2)))
    with pytest.raises(ValueError, match=r"layer '0' .*use torch.nn.utils.parametrizations"):
        list(walk(model))
