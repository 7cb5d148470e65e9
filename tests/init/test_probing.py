"""Modules of other libraries: norms that multiply by 1 + weight, and weights that are stored as (in, out)."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench.init import describe, initialize, initializer
from initbench.init.probing import adds_one, is_input_first


class GemmaRMSNorm(nn.Module):
    """As in Hugging Face's Gemma: the weight is an offset from 1, and starts at 0."""

    def __init__(self, width: int, start: float = 0.0) -> None:
        super().__init__()
        self.eps, self.weight = 1e-6, nn.Parameter(torch.full((width,), start))

    def forward(self, inputs: Tensor) -> Tensor:
        normalized = inputs.float() * torch.rsqrt(inputs.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return (normalized * (1.0 + self.weight.float())).type_as(inputs)


class LlamaRMSNorm(GemmaRMSNorm):
    def forward(self, inputs: Tensor) -> Tensor:
        normalized = inputs.float() * torch.rsqrt(inputs.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * normalized.type_as(inputs)


class LayerNorm1P(nn.LayerNorm):
    """As in NVIDIA's NeMo, with a bias."""

    def reset_parameters(self) -> None:
        """Zero, an offset from 1."""
        nn.init.zeros_(self.weight)
        nn.init.constant_(self.bias, 0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.layer_norm(inputs, self.normalized_shape, self.weight + 1, self.bias, self.eps)


class ChannelNorm1P(nn.BatchNorm2d):
    def forward(self, inputs: Tensor) -> Tensor:
        means, variances = self.running_mean, self.running_var
        return nn.functional.batch_norm(inputs, means, variances, 1 + self.weight, self.bias, eps=self.eps)


class ImageNorm1P(LayerNorm1P):
    """Normalizes over the channels of images alone, as timm's LayerNorm2d."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SignalNorm1P(LayerNorm1P):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.permute(0, 2, 1)).permute(0, 2, 1)


class ExponentialRMSNorm(LlamaRMSNorm):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight.exp() * inputs * torch.rsqrt(inputs.pow(2).mean(-1, keepdim=True) + self.eps)


class LockedRMSNorm(GemmaRMSNorm):
    """One that cannot be copied, so that it cannot be told what it computes."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.lock = threading.Lock()


OFFSET: dict[str, Callable[[], nn.Module]] = {
    "gemma": lambda: GemmaRMSNorm(8),
    "gemma with other weights": lambda: GemmaRMSNorm(8, 0.3),
    "layer norm": lambda: LayerNorm1P(8),
    "layer norm of two axes": lambda: LayerNorm1P((3, 8)),
    "channels": lambda: ChannelNorm1P(8),
    "channels of images": lambda: ImageNorm1P(8),
    "channels of signals": lambda: SignalNorm1P(8),
    "bfloat16": lambda: GemmaRMSNorm(8).bfloat16(),
}
ORDINARY: dict[str, Callable[[], nn.Module]] = {
    "llama": lambda: LlamaRMSNorm(8, 1.0),
    "llama at zero": lambda: LlamaRMSNorm(8),
    "exponential": lambda: ExponentialRMSNorm(8),
    "layer norm": lambda: nn.LayerNorm(8),
    "rms norm": lambda: nn.RMSNorm(8),
    "batch norm": lambda: nn.BatchNorm2d(8),
    "group norm": lambda: nn.GroupNorm(2, 8),
    "without a scale": lambda: nn.LayerNorm(8, elementwise_affine=False),
}


@pytest.mark.parametrize("kind", OFFSET)
def test_a_scale_of_one_is_a_weight_of_zero_in_a_norm_that_adds_one(kind: str) -> None:
    model = nn.Sequential(nn.Linear(8, 8), OFFSET[kind]())
    assert adds_one(model[1])
    initialize(model, "orthogonal")
    assert (model[1].weight == 0).all()
    initialize(model, "orthogonal", norm_scale=0.25)
    assert (model[1].weight == -0.75).all()
    row = describe(model, "orthogonal").set_index("parameter").loc["1.weight"]
    assert (row["role"], row["scheme"], row["mean"]) == ("norm_scale", "1 - 1", 0)


@pytest.mark.parametrize("kind", ORDINARY)
def test_a_scale_of_one_is_a_weight_of_one_in_other_norms(kind: str) -> None:
    model = nn.Sequential(nn.Linear(8, 8), ORDINARY[kind]())
    assert not adds_one(model[1])
    initialize(model, "orthogonal")
    if model[1].weight is not None:
        assert (model[1].weight == 1).all()


def test_the_control_resets_a_norm_by_its_own_method_or_keeps_it() -> None:
    model = initialize(nn.Sequential(nn.Linear(8, 8), LayerNorm1P(8), GemmaRMSNorm(8, 0.3)), "default")
    assert (model[1].weight == 0).all()
    assert (model[1].bias == 0.5).all()
    assert (model[2].weight == 0.3).all()


def test_a_norm_that_cannot_be_copied_counts_as_an_ordinary_one() -> None:
    assert not adds_one(LockedRMSNorm(8))


def test_zero_gamma_sets_the_scale_to_zero_in_a_norm_that_adds_one() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Sequential(nn.Linear(8, 8), GemmaRMSNorm(8))

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs + self.branch(inputs)

    model = initialize(nn.Sequential(Block()), "zero_gamma")
    inputs = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(inputs), inputs)


class Conv1D(nn.Module):
    """As in Hugging Face's GPT-2."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.empty(nx, nf)), nn.Parameter(torch.zeros(nf))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        flat = torch.addmm(self.bias, inputs.reshape(-1, self.nx), self.weight)
        return flat.view(*inputs.shape[:-1], self.nf)


class Scaled(nn.Module):
    """x @ W with an equalized learning rate and a bias that is not called one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.ones(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return 0.1 * torch.einsum("bti,io->bto", inputs, self.weight) + self.shift


class OutputFirst(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight.T


@pytest.mark.parametrize("layer", [Conv1D(12, 4), Conv1D(4, 12), Conv1D(6, 6), Scaled(4, 12), Scaled(6, 6)])
def test_weights_stored_as_input_by_output_are_told_by_running(layer: nn.Module) -> None:
    assert is_input_first(layer)


@pytest.mark.parametrize(
    "layer", [OutputFirst(4, 12), OutputFirst(6, 6), nn.Linear(6, 6), nn.Embedding(6, 6), nn.Conv1d(6, 6, 1)]
)
def test_weights_stored_as_output_by_input_are_told_by_running(layer: nn.Module) -> None:
    assert not is_input_first(layer)


@pytest.mark.parametrize(
    "name", ["kaiming_normal", "lecun_normal", "xavier_uniform", "mup", "orthogonal", "eye", "siren"]
)
def test_conv1d_gets_the_transposed_weights_of_the_linear_layer(name: str) -> None:
    """The fans, the orientation and the numbers: y = x @ weight + bias computes the same."""
    linear = initialize(nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3)), name)
    conv = initialize(nn.Sequential(Conv1D(12, 4), nn.ReLU(), Conv1D(3, 12)), name)
    assert torch.equal(conv[0].weight, linear[0].weight.T)
    assert torch.equal(conv[2].weight, linear[2].weight.T)
    table = describe(conv, name).set_index("parameter")
    assert (table.loc["0.weight", "fan_in"], table.loc["0.weight", "fan_out"]) == (4, 12)


class GPT2Attention(nn.Module):
    def __init__(self, width: int, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.c_attn, self.c_proj = layer(3 * width, width), layer(width, width)


@pytest.mark.filterwarnings("ignore:no activation module")  # the attention has none
def test_query_key_and_value_packed_in_a_conv1d_are_three_matrices() -> None:
    ours = GPT2Attention(6, Conv1D)
    theirs = GPT2Attention(6, lambda outputs, inputs: nn.Linear(inputs, outputs))
    for model in (ours, theirs):
        initialize(model, "orthogonal", attention_in={"name": "orthogonal", "gain": 2.0})
    assert torch.equal(ours.c_attn.weight, theirs.c_attn.weight.T)
    for block in ours.c_attn.weight.chunk(3, dim=1):
        assert torch.allclose(block @ block.T, 4 * torch.eye(6), atol=1e-5)
    assert initializer("orthogonal").plan(ours)[0].parameter.role == "attention_in"


def test_learning_rates_of_mup_see_the_inputs_of_a_conv1d() -> None:
    def rates(layer: Callable[[int, int], Any]) -> dict[str, float]:
        model = nn.Sequential(layer(128, 4), nn.ReLU(), layer(256, 128), nn.ReLU(), layer(3, 256))
        return initializer("mup").learning_rates(model, adaptive=True)

    assert rates(Conv1D) == rates(lambda outputs, inputs: nn.Linear(inputs, outputs))
    assert rates(Conv1D)["4.weight"] == 64 / 256


class Stored(nn.Module):
    """A linear layer of one's own, with the weight as in nn.Linear."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(outputs, inputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight.T + self.bias


class Mlp(nn.Module):
    def __init__(self, layer: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.norm, self.fc, self.act, self.proj = nn.LayerNorm(8), layer(16, 8), nn.GELU(), layer(8, 16)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.proj(self.act(self.fc(self.norm(inputs))))  # type: ignore[no-any-return]  # modules return Any


@pytest.mark.parametrize("layer", [Conv1D, Stored])
@pytest.mark.parametrize(
    "name", ["fixup", "idinit", "zero_hadamard", "vit_jax", "lsuv", "kraehenbuehl", "weight_norm_data"]
)
def test_methods_treat_a_linear_layer_of_others_as_that_of_torch(name: str, layer: Callable[[int, int], Any]) -> None:
    inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    weights = {} if name in ("idinit", "vit_jax", "zero_hadamard") else {"weight": "orthogonal"}
    values = []
    for each in (layer, lambda outputs, inputs: nn.Linear(inputs, outputs)):
        model = nn.Sequential(Mlp(each), Mlp(each), each(3, 8))
        initialize(model, name, batch=(inputs, torch.arange(16) % 3), **weights)
        values.append(
            {
                key: value.T if layer is Conv1D and value.dim() == 2 and each is layer else value
                for key, value in model.state_dict().items()
            }
        )
    for key, value in values[0].items():
        torch.testing.assert_close(value, values[1][key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [Conv1D, Stored])
def test_a_branch_that_ends_with_a_linear_layer_of_others_has_no_last_norm(layer: Callable[[int, int], Any]) -> None:
    with pytest.raises(ValueError, match="sets the norm that ends each residual branch to zero, and 0 is not ended"):
        initialize(nn.Sequential(Mlp(layer)), "zero_gamma")
