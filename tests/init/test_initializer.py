"""Which scheme fills which parameter, and that it does so exactly."""

import math
from typing import Any

import pytest
import torch
from every_option import NAMES
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.init import Initializer, initialize, options, rows
from initbench.init.scheme import read_option


class Recurrent(nn.Module):
    """One network of each kind after another; the output at the last step."""

    def __init__(self, *cells: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(cell(4, 4, batch_first=True) for cell in cells)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            inputs, _ = layer(inputs)
        return inputs[:, -1]


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.LayerNorm(20), nn.Linear(20, 7)),
    "conv": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4)),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(6, 4, 3, groups=2), nn.Tanh()),
    "gated": lambda: Recurrent(nn.LSTM, nn.GRU),
    "simple": lambda: Recurrent(nn.RNN),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    "embedding": lambda: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4)),
}
INPUTS = {
    "mlp": (32, 12),
    "conv": (32, 3, 8, 8),
    "transposed": (32, 6, 5, 5),
    "gated": (32, 5, 4),
    "simple": (32, 5, 4),
    "attention": (32, 5, 8),
}

# What an option asks of a model, and the toy models that have it; all others are refused with these words.
NEEDS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("transformer", "gpt2", "small_init", "wang"), ("needs residual branches", "attention")),
    **dict.fromkeys(
        ("llama_depth", "llama_depth_fixed", "megatron", "mitchell", "nanochat"),
        ("needs residual branches|(embedding|head)_std is for", ""),
    ),
    **dict.fromkeys(("admin", "admin_torch"), ("needs residual branches|no skip_scale", "")),
    "chrono": ("needs recurrent layers|has no gates", "gated"),
    "class_prior": (
        "class_prior needs a (bias that is added|class for each)|a (LSTM|GRU|RNN), has none",
        "mlp embedding",
    ),
    "complete_p": ("needs residual branches|multiplies residual branches", ""),
    "deepnorm": ("needs residual branches|no skip_scale", ""),
    "delta_orthogonal": (
        "needs at least as many outputs as inputs",
        "mlp conv gated simple attention embedding",
    ),
    "efficientnet": ("efficientnet needs layers with a weight of type Linear", "mlp attention embedding"),
    "fixup": ("needs residual branches", "attention"),
    "irnn": ("irnn needs recurrent layers of type RNN", "simple"),
    "kraehenbuehl": ("no linear or convolutional layer", "mlp conv transposed attention embedding"),
    "looks_linear": ("has skip connections|has no mirrored form|is not a multiple of x", "mlp embedding"),
    "lstm": ("lstm needs recurrent layers of type LSTM|which has no forget gate", ""),
    "lsuv": ("no linear or convolutional layer", "mlp conv transposed attention embedding"),
    "mimetic": ("needs self-attention layers", "attention"),
    "orthogonal_conv": (
        "needs at least as many outputs as inputs",
        "mlp conv gated simple attention embedding",
    ),
    "patch_whitening": ("needs a convolution as the first layer|no linear or convolutional layer", "conv"),
    "per_layer": ("per_layer needs a first and a last weight", "mlp conv gated simple attention"),
    "rezero": ("needs gates", ""),
    "skipinit": ("needs gates", ""),
    "sub_ln": ("needs residual branches", ""),
    "t_fixup": ("needs residual branches", "attention"),
    "tanh_fixed_point": ("is defined on matrices", "mlp gated simple attention embedding"),
    "vit_jax": ("vit_jax needs a first and a last weight", "mlp conv gated simple attention"),
    "weight_norm_data": ("no linear or convolutional layer", "mlp conv transposed attention embedding"),
    "zero_gamma": ("needs residual branches|is not ended by one", ""),
}
FEW_STEPS = {"gradinit": {"steps": 2}, "metainit": {"steps": 2}}


def batch(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = (
        torch.randint(9, (32,), generator=generator)
        if kind == "embedding"
        else torch.randn(INPUTS[kind], generator=generator)
    )
    return inputs, torch.randint(4, (32,), generator=generator)


def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(outputs.flatten(1), targets)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_every_option_fills_every_model(name: str, kind: str) -> None:
    """Each parameter is listed once, finite, independent of what it was and of torch's global generator.

    Or the option is refused, with the words that NEEDS has for it; where it needs no data, before anything is written.
    """
    model = MODELS[kind]()
    given = {"seed": 3, "batch": batch(kind), "loss": loss, **FEW_STEPS.get(name, {})}
    words, fit = NEEDS.get(name, ("", " ".join(MODELS)))
    if kind not in fit.split():
        before = state(model)
        with pytest.raises(ValueError, match=words):
            initialize(model, name, **given)
        if not Initializer.from_config(read_option(name)).needs_batch:
            assert all(torch.equal(value, before[parameter]) for parameter, value in state(model).items())
        return
    assignments = Initializer.from_config(read_option(name)).plan(model)
    assert [a.layer.name for a in assignments] == [parameter for parameter, _ in model.named_parameters()]
    torch.manual_seed(1)
    first = state(initialize(model, name, **given))
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, math.nan)
    torch.manual_seed(2)
    second = state(initialize(model, name, **given))
    for parameter, value in first.items():
        assert value.isfinite().all()
        assert torch.equal(value, second[parameter]), parameter


def test_what_is_refused_is_said_of_options_that_exist() -> None:
    assert set(NEEDS) | set(FEW_STEPS) <= set(NAMES)


@pytest.mark.parametrize("name", options())
def test_every_file_names_itself_and_where_its_function_is(name: str) -> None:
    option = read_option(name)
    assert option["name"] == name
    if "_target_" in option:
        assert option["_target_"].startswith(("initbench.init.schemes.", "initbench.init.methods."))
    else:
        assert "weight" in option  # an option that is made of rules and policies


def test_another_seed_gives_other_weights() -> None:
    a, b = (state(initialize(MODELS["mlp"](), "kaiming_normal", seed=seed)) for seed in (0, 1))
    assert not torch.equal(a["0.weight"], b["0.weight"])


@pytest.mark.parametrize("seed", ["a", None, 1.0])
def test_a_seed_is_an_integer(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be an integer"):
        initialize(MODELS["mlp"](), "orthogonal", seed=seed)


def test_seed_zero_is_a_seed() -> None:
    a, b = (state(initialize(MODELS["mlp"](), "kaiming_normal", seed=0)) for _ in range(2))
    assert torch.equal(a["0.weight"], b["0.weight"])


def test_adding_a_layer_does_not_change_the_others() -> None:
    short = initialize(nn.Sequential(nn.Linear(4, 4)), "orthogonal")
    long = initialize(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "orthogonal", gain=1.0)
    assert torch.equal(short[0].weight, long[0].weight)
    assert not torch.equal(long[0].weight, long[1].weight)


def test_policies_of_biases_and_norms() -> None:
    model = initialize(MODELS["conv"](), "normal", bias=0.1, norm_scale=2, norm_shift="ones")
    assert (model[0].bias == 0.1).all()
    assert (model[1].weight == 2).all()
    assert (model[1].bias == 1).all()


def test_the_defaults_of_a_policy_in_code_and_in_the_config_agree(small: Any) -> None:
    shared = {k: v for k, v in small("init=normal")["init"].items() if k not in ("_target_", "name", "mean", "std")}
    import inspect

    in_code = {
        k: p.default for k, p in inspect.signature(Initializer).parameters.items() if k not in ("weight", "method")
    }
    assert {**in_code, "rules": []} == shared


def test_the_control_is_the_modules_own() -> None:
    """Linear's own: U(+-1 / sqrt(fan_in)) for weights and biases, so std = 1 / sqrt(3 * fan_in)."""
    model = initialize(nn.Sequential(nn.Linear(300, 400), nn.LayerNorm(400)), "default")
    bound = 1 / math.sqrt(300)
    for tensor in (model[0].weight, model[0].bias):
        assert tensor.abs().max() <= bound
        assert float(tensor.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.08)
    assert (model[1].weight == 1).all()


def test_the_control_leaves_the_global_generator_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    state = torch.get_rng_state()
    initialize(model, "default")
    assert torch.equal(torch.get_rng_state(), state)


def test_what_has_no_reset_is_kept_and_says_so() -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.full((3,), 7.0))

    model = Token()
    outcome = Initializer("default").apply(model, seed=0)
    assert (model.token == 7).all()
    assert rows(outcome)[0]["scheme"] == "kept (no reset_parameters)"
    initialize(model, "zeros", other=3)
    assert (model.token == 3).all()


def test_a_rule_for_one_layer_by_name() -> None:
    rules = [{"match": "conv1", "weight": "xavier_uniform", "bias": 0.1}]
    model = nn.Sequential()
    model.add_module("conv1", nn.Conv2d(3, 4, 3))
    model.add_module("conv2", nn.Conv2d(4, 4, 3))
    initialize(model, "zeros", rules=rules)
    assert (model.conv1.bias == 0.1).all()
    assert model.conv1.weight.abs().max() <= math.sqrt(6 / (27 + 36))
    assert model.conv1.weight.std() > 0
    assert (model.conv2.weight == 0).all()


def test_the_first_rule_that_matches_wins() -> None:
    rules = [{"match": "0", "weight": 1}, {"match": "Linear", "weight": 2, "bias": 3}]
    model = initialize(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "zeros", rules=rules)
    assert (model[0].weight == 1).all()
    assert (model[0].bias == 3).all()  # the first rule says nothing of biases
    assert (model[1].weight == 2).all()


def test_a_rule_with_parameters_and_a_glob_over_parameter_names() -> None:
    rules = [{"match": "*.weight", "weight": {"name": "constant", "value": 5}}]
    model = initialize(nn.Sequential(nn.Linear(2, 2)), "zeros", rules=rules)
    assert (model[0].weight == 5).all()


def test_recurrent_weights_follow_the_weights_unless_told() -> None:
    model = initialize(nn.RNN(3, 3), "constant", value=2, recurrent_hidden="eye")
    assert (model.weight_ih_l0 == 2).all()
    assert torch.equal(model.weight_hh_l0, torch.eye(3))


def test_gates_and_projections_are_initialized_each() -> None:
    lstm = initialize(nn.LSTM(6, 6), "orthogonal", gain=1.0)
    for gate in lstm.weight_hh_l0.chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)
    attention = initialize(nn.MultiheadAttention(64, 4), "xavier_uniform")
    bound = math.sqrt(6 / 128)  # torch's own takes the fans of the packed matrix: sqrt(6 / 256)
    assert 0.97 * bound < attention.in_proj_weight.abs().max() <= bound


def test_a_packed_linear_projection_is_three(small: Any) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(64, 192)

    model = initialize(Attention(), "xavier_uniform")
    bound = math.sqrt(6 / 128)
    assert 0.97 * bound < model.qkv.weight.abs().max() <= bound
    initialize(model, "normal", attention_in="zeros")
    assert (model.qkv.weight == 0).all()


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize("padding", [0, 1, -1])
def test_the_padding_token_stays_at_zero(kind: type[nn.Module], padding: int) -> None:
    embedding = initialize(kind(5, 3, padding_idx=padding), "normal", embedding="normal")
    zeros = (embedding.weight == 0).all(dim=1)
    assert zeros.nonzero().flatten().tolist() == [padding % 5]


def test_what_torch_holds_at_zero_stays_there() -> None:
    attention = initialize(nn.MultiheadAttention(8, 2), "default")
    assert (attention.out_proj.bias == 0).all()


def test_depthwise_filters_have_norm_gain() -> None:
    conv = initialize(nn.Conv2d(8, 8, 3, groups=8), "orthogonal", gain=1.5)
    assert torch.allclose(conv.weight.flatten(1).norm(dim=1), torch.full((8,), 1.5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["orthogonal", "kaiming_normal", "default", "trunc_normal"])
def test_weights_are_the_same_whatever_the_dtype_and_memory_format(name: str, dtype: torch.dtype) -> None:
    plain = initialize(nn.Conv2d(4, 8, 3), name)
    other = nn.Conv2d(4, 8, 3).to(dtype=dtype, memory_format=torch.channels_last)
    pointer = other.weight.data_ptr()
    initialize(other, name)
    assert torch.equal(other.weight, plain.weight.to(dtype))
    assert other.weight.is_contiguous(memory_format=torch.channels_last)
    assert other.weight.data_ptr() == pointer  # in place: optimizers and DDP hold on to it


def test_frozen_parameters_are_initialized_and_stay_frozen() -> None:
    layer = nn.Linear(3, 3).requires_grad_(False)
    initialize(layer, "ones")
    assert (layer.weight == 1).all()
    assert not layer.weight.requires_grad


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"init": "orthogonall"}, r"unknown initializer 'orthogonall'. Did you mean 'orthogonal'\?"),
        ({"init": "orthogonal", "gian": 2}, "unknown key gian of orthogonal. Did you mean 'gain'"),
        ({"init": "orthogonal", "nonlinearity": "rellu"}, "unknown nonlinearity 'rellu'"),
        ({"init": "constant", "value": "much"}, "value of constant must be a number, got 'much'"),
        ({"init": "sparse", "sparsity": 1.5}, r"sparsity must lie in \[0, 1\)"),
        ({"init": "zeros", "bias": "kaiming_normal"}, "at least two dimensions"),
        ({"init": "zeros", "rules": [{"match": "conv9", "weight": 1}]}, "'conv9' matches no weight"),
        ({"init": "zeros", "rules": [{"match": "0", "norm_scale": 1}]}, "'0' matches no norm_scale"),
        ({"init": "zeros", "rules": [{"match": "Linear", "weight": 1}, {"match": "0", "weight": 2}]}, "'0' matches no"),
        ({"init": "zeros", "rules": [{"weight": 1}]}, "has no match:"),
        ({"init": "zeros", "rules": [{"match": "0"}]}, "says nothing"),
        ({"init": "zeros", "rules": [{"match": "0", "wieght": 1}]}, "Did you mean 'weight'"),
        ({"init": {"_target_": "torch.nn.init.no_such"}}, "cannot be imported"),
    ],
)
def test_a_users_mistake_is_one_clear_error_and_changes_nothing(arguments: dict[str, Any], message: str) -> None:
    model = MODELS["mlp"]()
    before = state(model)
    with pytest.raises(ValueError, match=message):
        initialize(model, **arguments)
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def test_a_scheme_of_ones_own() -> None:
    model = initialize(nn.Linear(2, 2), {"_target_": f"{__name__}.seventeen_", "value": 17})
    assert (model.weight == 17).all()


def seventeen_(tensor: torch.Tensor, layer: Any, generator: torch.Generator, *, value: float) -> None:
    tensor.fill_(value)


def test_the_library_needs_neither_hydra_nor_lightning_nor_wandb() -> None:
    import subprocess
    import sys

    code = (
        "import sys, torch, initbench\n"
        "initbench.initialize(torch.nn.Linear(3, 2), 'orthogonal', seed=0)\n"
        "print([name for name in ('hydra', 'lightning', 'wandb', 'omegaconf', 'torchvision') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
    assert initbench.initialize is initialize


def test_rows_describe_what_was_done() -> None:
    model = nn.Sequential(nn.Linear(200, 100), nn.ReLU())
    weight, bias = rows(Initializer("kaiming_normal").apply(model, seed=0))
    assert (weight["parameter"], weight["fan_in"], weight["fan_out"]) == ("0.weight", 200, 100)
    assert weight["std"] == pytest.approx(math.sqrt(2 / 200), rel=0.02)
    assert (bias["role"], bias["scheme"], bias["std"]) == ("bias", "0", 0.0)
