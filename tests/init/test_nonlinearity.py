"""Which activation a model has: the one that its modules compute, whatever they are called."""

import math
import warnings
from collections.abc import Callable

import pytest
import timm.layers.activations
import timm.layers.activations_me
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.init import nonlinearity_of
from initbench.init.gain import calculate_gain, named
from initbench.init.nonlinearity import of_leaf

Z = torch.randn(4_000_000, generator=torch.Generator().manual_seed(0))


class Swish(nn.Module):
    """x sigmoid(beta x), as people write it."""

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(beta))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)


class SquaredReLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) ** 2


class Functional(nn.Module):
    """Its activation is a function that only its forward knows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.first(x)))


class Attribute(Functional):
    """Its activation is an attribute."""

    def __init__(self, key: str, activation: object) -> None:
        super().__init__()
        setattr(self, key, activation)


@pytest.mark.parametrize(
    "module, name, slope",
    [
        (nn.PReLU(init=0.5), "leaky_relu", 0.5),
        (nn.PReLU(8), "leaky_relu", 0.25),
        (nn.LeakyReLU(0.3, inplace=True), "leaky_relu", 0.3),
        (nn.LeakyReLU(0.0), "relu", None),
        (nn.Threshold(0.0, 0.0), "relu", None),
        (nn.ReLU(inplace=True), "relu", None),
        (nn.GLU(), "glu", None),
        (nn.GELU("tanh"), "gelu", None),
        (nn.Hardtanh(), "hardtanh", None),
        (nn.LSTM(3, 4), "tanh", None),
        (nn.LSTMCell(3, 4), "tanh", None),
        (nn.GRUCell(3, 4), "tanh", None),
        (nn.RNNCell(3, 4, nonlinearity="relu"), "relu", None),
        (nn.RNN(3, 4, nonlinearity="relu"), "relu", None),
        (nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), "gelu", None),
        (nn.TransformerEncoderLayer(8, 2, 16, activation=torch.tanh), "tanh", None),
        (nn.TransformerEncoderLayer(8, 2, 16, activation=nn.SiLU()), "silu", None),
        (nn.TransformerEncoderLayer(8, 2, 16, activation=lambda x: F.leaky_relu(x, 0.2)), "leaky_relu", 0.2),
        (nn.TransformerDecoderLayer(8, 2, 16), "relu", None),
        (Attribute("act", F.gelu), "gelu", None),
        (Attribute("act_fn", F.silu), "silu", None),
        (Attribute("nonlinearity", "tanh"), "tanh", None),
        (Attribute("activation_fn", torch.nn.functional.relu6), "relu6", None),
        (Swish(), "silu", None),
        (nn.RNN(3, 4), "tanh", None),
        (nn.Sequential(nn.Linear(2, 2), nn.Flatten(), nn.Softmax(1), nn.Dropout(), nn.LayerNorm(2)), "linear", None),
        (nn.Sequential(nn.LayerNorm(2, elementwise_affine=False), nn.BatchNorm1d(1), nn.MaxPool2d(2)), "linear", None),
    ],
)
def test_the_activation_that_is_there_is_found(module: nn.Module, name: str, slope: float | None) -> None:
    found = nonlinearity_of(module)
    assert found.name == name
    assert slope is None or found.negative_slope == pytest.approx(slope)


TIMM = {
    kind
    for home in (timm.layers.activations, timm.layers.activations_me)
    for kind in vars(home).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module)
}


@pytest.mark.parametrize(
    "build",
    [
        *sorted(TIMM, key=lambda kind: kind.__name__),
        lambda: nn.ELU(0.4),
        lambda: nn.CELU(3.0),
        lambda: nn.Softplus(beta=3, threshold=5),
        lambda: nn.Threshold(0.5, -1.0),
        lambda: nn.Hardtanh(-0.5, 2.0),
        lambda: nn.Hardshrink(0.7),
        lambda: nn.Softshrink(0.7),
        lambda: Swish(1.7),
        SquaredReLU,
    ],
)
def test_the_gain_of_any_activation_is_torchs_or_keeps_the_second_moment(build: Callable[[], nn.Module]) -> None:
    module = build()
    gain = nonlinearity_of(nn.Sequential(nn.Linear(2, 2), module)).gain
    with torch.no_grad():
        out = module(Z.clone())
        tables = {name for name in ("sigmoid", "tanh", "selu") if torch.allclose(out, named(name)(Z), atol=1e-5)}
    if tables:
        assert gain == nn.init.calculate_gain(tables.pop())
    else:
        assert float((gain * out).pow(2).mean()) == pytest.approx(1.0, abs=4e-3)


@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.0, 0.9)])
def test_a_random_slope_keeps_the_second_moment(bounds: tuple[float, float]) -> None:
    module = nn.RReLU(*bounds).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = module(Z)
    assert float((nonlinearity_of(module).gain * out).pow(2).mean()) == pytest.approx(1.0, abs=4e-3)


def test_the_most_frequent_activation_counts() -> None:
    model = nn.Sequential(nn.Tanh(), nn.LeakyReLU(0.2), nn.LeakyReLU(0.2))
    assert nonlinearity_of(model) == named("leaky_relu", 0.2)
    assert nonlinearity_of(nn.Sequential(nn.ReLU(), nn.ELU(0.5), nn.ELU(0.5))).name == "ELU"
    assert nonlinearity_of(nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ELU(0.5), nn.ELU(0.4))).name == "relu"


class Counts(nn.Module):
    """A module that changes its attributes, and draws random numbers, whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return F.relu(x + torch.randn(()))


def test_looking_for_the_activation_changes_nothing() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Counts(), nn.Dropout(), nn.RReLU()).train()
    before = torch.get_rng_state()
    assert nonlinearity_of(model).name == "leaky_relu"
    assert torch.equal(torch.get_rng_state(), before)
    assert model[1].calls == 0
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("init", ["kaiming_normal", "orthogonal"])
def test_a_model_whose_activation_is_a_function_is_told_of(init: str) -> None:
    with pytest.warns(UserWarning, match="so the gain is 1.*nonlinearity=relu"):
        initbench.initialize(Functional(), init)
    relu = initbench.describe(Functional(), init, nonlinearity="relu")
    linear = initbench.describe(Functional(), init, nonlinearity="linear")
    assert relu["std_expected"][0] == pytest.approx(math.sqrt(2) * linear["std_expected"][0])


def test_the_warning_comes_once() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        initbench.initialize(Functional(), "kaiming_normal")
    assert len(said) == 1


@pytest.mark.parametrize(
    "model, init, overrides",
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "orthogonal", {}),  # torch's own forward: it is linear
        (Functional(), "xavier_normal", {}),  # its gain is a number
        (Functional(), "orthogonal", {"gain": 1.0}),
        (Functional(), "normal", {}),
    ],
)
def test_nothing_is_said_where_no_activation_is_needed(
    model: nn.Module, init: str, overrides: dict[str, float]
) -> None:
    initbench.initialize(model, init, **overrides)  # warnings are errors here


RELU, LEAKY = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.1))


@pytest.mark.parametrize(
    "model, init, overrides, said",
    [
        (RELU, "kaiming_normal", {"a": 0.2}, "a=0.2 is the negative slope of leaky_relu, and the nonlinearity is relu"),
        (LEAKY, "orthogonal", {"a": 0.2, "nonlinearity": "tanh"}, "the nonlinearity is tanh"),
        (RELU, "xavier_normal", {"nonlinearity": "relu"}, "nonlinearity=relu changes nothing, since gain is 1"),
        (RELU, "xavier_uniform", {"a": 0.3}, "a=0.3 changes nothing, since gain is 1: leave it out, or set gain=null"),
        (LEAKY, "xavier_normal", {"a": 0}, "a=0 changes nothing, since gain is 1: leave it out, or set gain=null"),
        (RELU, "kaiming_normal", {"a": 0}, "a=0 is the negative slope of leaky_relu, and the nonlinearity is relu"),
        (RELU, "variance_scaling", {"nonlinearity": "tanh"}, "set gain=null"),
        (RELU, "kaiming_uniform", {"gain": 2.0, "a": 0.2}, "since gain is 2"),
        (RELU, "mean_field", {"sigma_w": 1.5, "sigma_b": 0.1, "nonlinearity": "tanh"}, "set sigma_w=critical"),
        (RELU, "mean_field", {"a": 0.1}, "the nonlinearity is relu"),
    ],
)
def test_a_key_that_changes_nothing_is_refused(
    model: nn.Module, init: str, overrides: dict[str, float], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        initbench.initialize(model, init, **overrides)


def test_a_slope_is_used_where_there_is_one() -> None:
    table = initbench.describe(LEAKY, "kaiming_normal", a=0.5)
    assert table["std_expected"][0] == pytest.approx(calculate_gain("leaky_relu", 0.5) / 2)
    table = initbench.describe(LEAKY, "kaiming_normal", a=0)
    assert table["std_expected"][0] == pytest.approx(calculate_gain("relu") / 2)
    table = initbench.describe(RELU, "xavier_normal", gain=None, nonlinearity="tanh")
    assert table["std_expected"][0] == pytest.approx(5 / 3 / 2)


@pytest.mark.parametrize("module", [nn.ReLU(), nn.PReLU(3), nn.RReLU(), Swish(), SquaredReLU(), *(k() for k in TIMM)])
def test_a_module_that_acts_on_each_entry_is_an_activation(module: nn.Module) -> None:
    assert of_leaf(module) is not None


@pytest.mark.parametrize(
    "module",
    [nn.Softmax(1), nn.GLU(), nn.MultiheadAttention(4, 2), nn.Identity(), nn.Flatten(), nn.Dropout(), nn.AvgPool1d(3)],
)
def test_a_module_that_mixes_entries_or_changes_none_is_no_activation(module: nn.Module) -> None:
    assert of_leaf(module) is None


class Of(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("function", [torch.log, torch.sqrt, lambda x: x.relu().reciprocal()])
def test_a_function_that_is_not_finite_everywhere_is_no_activation(function: Callable[[Tensor], Tensor]) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Of(function), nn.Linear(4, 4), Of(function), nn.Tanh())
    assert of_leaf(model[1]) is None
    assert nonlinearity_of(model).name == "tanh"


class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).float()


class Sign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x > 0


class ReluInSinglePrecision(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x.float()).to(torch.bfloat16)


@pytest.mark.parametrize("module", [Step(), Sign(), ReluInSinglePrecision()])
def test_an_activation_may_compute_in_a_precision_of_its_own(module: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(4, 4), module, nn.Linear(4, 2))
    assert nonlinearity_of(model).gain == pytest.approx(math.sqrt(2), rel=1e-4)
    initbench.initialize(model, "kaiming_normal")


class Maxout(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, 2)).amax(-1)


def test_a_module_of_ones_own_that_is_no_function_of_each_entry_is_told_of() -> None:
    model = nn.Sequential(nn.Linear(4, 8), Maxout(), nn.Linear(4, 2))
    with pytest.warns(UserWarning, match="so the gain is 1.*nonlinearity=relu"):
        initbench.initialize(model, "kaiming_normal")


def test_a_linear_layer_of_ones_own_calls_no_activation() -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    initbench.initialize(nn.Sequential(Transposed(), Transposed()), "kaiming_normal")  # warnings are errors here
