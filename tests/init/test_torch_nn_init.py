"""The checks of PyTorch's own test of torch.nn.init (TestNNInit in test/nn/test_init.py), which torch does not install.

Here they go through `initbench.initialize` on a module with a weight of each shape, for our initializers and for
torch's functions passed as `init`. What depends on the draw is tested by Kolmogorov-Smirnov at P_VALUE.

Grouped convolutions are left to test_schemes.py: their fans are those of a group, unlike torch's.
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import initialize
from initbench.init.gain import NONLINEARITIES, calculate_gain

# With fixed seeds each comparison has one outcome for ever; one in ten thousand right ones would have been unlucky.
P_VALUE = 1e-4

CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
CONVOLVE: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
SHAPES = [(60, 40), (35, 20, 3), (30, 10, 3, 4), (20, 8, 3, 2, 3)]  # of 2 to 5 dimensions, thousands of entries


def module(shape: tuple[int, ...], groups: int = 1) -> nn.Module:
    """The layer of torch whose weight has this shape: (out, in / groups, *kernel)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")  # by torch, before it is ours
        if len(shape) == 2:
            return nn.Linear(shape[1], shape[0])
        return CONVOLUTIONS[len(shape)](shape[1] * groups, shape[0], shape[2:], groups=groups)


def fill(shape: tuple[int, ...], init: Any, *, groups: int = 1, seed: int = 0, **parameters: Any) -> Tensor:
    weight: Tensor = initialize(module(shape, groups), init, seed=seed, **parameters).weight.detach()
    assert weight.shape == shape
    return weight


def assert_drawn_from(weight: Tensor, distribution: Any) -> None:
    assert stats.kstest(weight.flatten().double().numpy(), distribution.cdf).pvalue > P_VALUE


def uniform(std: float) -> Any:
    return stats.uniform(-math.sqrt(3) * std, 2 * math.sqrt(3) * std)


def normal(std: float) -> Any:
    return stats.norm(0, std)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out, by their definition."""
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


# --- What does not depend on the shape


@pytest.mark.parametrize("init", ["uniform", nn.init.uniform_])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("a, b", [(0.0, 1.0), (-2.5, -1.0), (-3.0, 17.0), (0.0, 1e-6)])
def test_uniform(init: Any, shape: tuple[int, ...], a: float, b: float) -> None:
    weight = fill(shape, init, a=a, b=b)
    assert_drawn_from(weight, stats.uniform(a, b - a))
    assert a <= float(weight.min()) < float(weight.max()) <= b


@pytest.mark.parametrize("init", ["normal", nn.init.normal_])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (-3.0, 0.5), (2.0, 5.0), (0.0, 1e-6)])
def test_normal(init: Any, shape: tuple[int, ...], mean: float, std: float) -> None:
    assert_drawn_from(fill(shape, init, mean=mean, std=std), stats.norm(mean, std))


@pytest.mark.parametrize("init", ["trunc_normal", nn.init.trunc_normal_])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "mean, std, a, b", [(0.0, 1.0, -2.0, 2.0), (-1.0, 0.5, -1.5, 0.0), (2.0, 3.0, 1.0, 9.0), (0.0, 0.02, -2.0, 2.0)]
)
def test_trunc_normal(init: Any, shape: tuple[int, ...], mean: float, std: float, a: float, b: float) -> None:
    weight = fill(shape, init, mean=mean, std=std, a=a, b=b)
    assert_drawn_from(weight, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std))
    assert a <= float(weight.min()) < float(weight.max()) <= b


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "init, parameters, value",
    [
        ("constant", {"value": -1.5}, -1.5),
        ("zeros", {}, 0.0),
        ("ones", {}, 1.0),
        (nn.init.constant_, {"val": -1.5}, -1.5),
        (nn.init.zeros_, {}, 0.0),
        (nn.init.ones_, {}, 1.0),
    ],
)
def test_constants(shape: tuple[int, ...], init: Any, parameters: dict[str, float], value: float) -> None:
    assert (fill(shape, init, **parameters) == value).all()


@pytest.mark.parametrize(
    "init, distribution",
    [
        ({"name": "uniform", "a": -3, "b": 17}, stats.uniform(-3, 20)),
        ({"name": "normal", "mean": -3, "std": 0.5}, stats.norm(-3, 0.5)),
        ({"name": "trunc_normal", "std": 2}, stats.truncnorm(-1, 1, 0, 2)),
        (nn.init.uniform_, stats.uniform()),
        (nn.init.normal_, stats.norm()),
        (nn.init.trunc_normal_, stats.truncnorm(-2, 2)),
    ],
)
def test_vectors(init: Any, distribution: Any) -> None:
    assert_drawn_from(initialize(nn.Linear(2, 3000), "zeros", bias=init).bias.detach(), distribution)


# --- Identities


@pytest.mark.parametrize("init", ["eye", nn.init.eye_])
@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (1, 4)])
def test_eye(init: Any, shape: tuple[int, int]) -> None:
    weight = fill(shape, init)
    for i in range(shape[0]):
        for j in range(shape[1]):
            assert weight[i, j] == (i == j)


@pytest.mark.parametrize("dimensions", [3, 4, 5])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("outputs, inputs", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_dirac(dimensions: int, groups: int, outputs: int, inputs: int, size: int) -> None:
    """As many ones as a group has channels in common, in each group on the diagonal of the centre tap."""
    shape = (groups * outputs, inputs, *[size] * (dimensions - 2))
    weight = fill(shape, "dirac", groups=groups)
    expected = torch.zeros(shape)
    centre = [size // 2] * (dimensions - 2)
    for group in range(groups):
        for channel in range(min(outputs, inputs)):
            expected[(group * outputs + channel, channel, *centre)] = 1
    assert torch.equal(weight, expected)
    assert torch.equal(fill(shape, partial(nn.init.dirac_, groups=groups), groups=groups), expected)


@pytest.mark.parametrize("dimensions", [3, 4, 5])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("outputs, inputs", [(4, 4), (3, 5), (5, 3)])
def test_a_dirac_convolution_is_the_identity(dimensions: int, groups: int, outputs: int, inputs: int) -> None:
    """The channels that input and output have in common are kept; other outputs are zero."""
    axes = dimensions - 2
    weight = fill((groups * outputs, inputs, *[3] * axes), "dirac", groups=groups)
    x = torch.randn(2, groups * inputs, *[6] * axes, generator=torch.Generator().manual_seed(0))
    found = CONVOLVE[dimensions](x, weight, padding=1, groups=groups)
    both = min(outputs, inputs)
    for ours, theirs in zip(found.chunk(groups, 1), x.chunk(groups, 1), strict=True):
        assert torch.equal(ours[:, :both], theirs[:, :both])
        assert (ours[:, both:] == 0).all()


# --- By fans


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 0.3, 2.5])
@pytest.mark.parametrize(
    "init, distribution",
    [
        ("xavier_uniform", uniform),
        ("xavier_normal", normal),
        (nn.init.xavier_uniform_, uniform),
        (nn.init.xavier_normal_, normal),
    ],
)
def test_xavier(shape: tuple[int, ...], gain: float, init: Any, distribution: Callable[[float], Any]) -> None:
    std = gain * math.sqrt(2 / sum(fans(shape)))
    assert_drawn_from(fill(shape, init, gain=gain), distribution(std))


KAIMING = [
    ("kaiming_uniform", uniform),
    ("kaiming_normal", normal),
    (nn.init.kaiming_uniform_, uniform),
    (nn.init.kaiming_normal_, normal),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0, 5**0.5])
@pytest.mark.parametrize("init, distribution", KAIMING)
def test_kaiming_of_a_leaky_relu(
    shape: tuple[int, ...], mode: str, slope: float, init: Any, distribution: Callable[[float], Any]
) -> None:
    fan = fans(shape)[mode == "fan_out"]
    weight = fill(shape, init, mode=mode, nonlinearity="leaky_relu", a=slope)
    assert_drawn_from(weight, distribution(math.sqrt(2 / (1 + slope**2) / fan)))


@pytest.mark.parametrize("nonlinearity, gain", [("relu", math.sqrt(2)), ("tanh", 5 / 3), ("linear", 1), ("selu", 0.75)])
@pytest.mark.parametrize("init, distribution", KAIMING)
def test_kaiming_of_other_activations(
    nonlinearity: str, gain: float, init: Any, distribution: Callable[[float], Any]
) -> None:
    weight = fill((60, 40), init, nonlinearity=nonlinearity)
    assert_drawn_from(weight, distribution(gain / math.sqrt(40)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name, parameters, function, theirs",
    [
        ("uniform", {"a": -1.0, "b": 2.0}, nn.init.uniform_, {"a": -1.0, "b": 2.0}),
        ("normal", {"std": 0.3}, nn.init.normal_, {"std": 0.3}),
        ("trunc_normal", {"std": 0.3, "a": -0.5}, nn.init.trunc_normal_, {"std": 0.3, "a": -0.5}),
        ("xavier_uniform", {"gain": 1.3}, nn.init.xavier_uniform_, {"gain": 1.3}),
        ("xavier_normal", {}, nn.init.xavier_normal_, {}),
        ("kaiming_uniform", {"nonlinearity": "relu"}, nn.init.kaiming_uniform_, {"nonlinearity": "relu"}),
        ("kaiming_normal", {"nonlinearity": "tanh"}, nn.init.kaiming_normal_, {"nonlinearity": "tanh"}),
        ("orthogonal", {"gain": 0.7}, nn.init.orthogonal_, {"gain": 0.7}),
    ],
)
def test_a_name_and_torchs_function_draw_the_same(
    shape: tuple[int, ...], name: str, parameters: dict[str, Any], function: Any, theirs: dict[str, Any]
) -> None:
    for seed in (0, 7):
        assert torch.equal(fill(shape, name, seed=seed, **parameters), fill(shape, function, seed=seed, **theirs))
    assert not torch.equal(fill(shape, name, **parameters), fill(shape, name, seed=1, **parameters))


# --- Orthogonal and sparse


@pytest.mark.parametrize("init", ["orthogonal", nn.init.orthogonal_])
@pytest.mark.parametrize(
    "shape", [(20, 20), (30, 12), (12, 30), (6, 8, 3), (5, 4, 2, 3), (40, 4, 2, 2), (4, 3, 2, 2, 2)]
)
@pytest.mark.parametrize("gain", [1.0, 0.5, 3.0])
def test_orthogonal(init: Any, shape: tuple[int, ...], gain: float) -> None:
    """Rows or columns, whichever are fewer, are orthogonal and of length `gain`."""
    matrix = fill(shape, init, gain=gain).flatten(1)
    product = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, gain**2 * torch.eye(len(product)), atol=1e-5 * gain**2, rtol=0)


@pytest.mark.parametrize("init", ["sparse", nn.init.sparse_])
@pytest.mark.parametrize("shape", [(40, 25), (7, 9), (1, 4)])
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 0.93])
def test_sparse(init: Any, shape: tuple[int, int], sparsity: float) -> None:
    """The same share of every column, rounded up, is zero; the columns differ in where."""
    weight = fill(shape, init, sparsity=sparsity, std=0.2)
    assert (weight == 0).sum(dim=0).tolist() == [math.ceil(sparsity * shape[0])] * shape[1]
    if shape == (40, 25) and sparsity in (0.1, 0.5):
        assert len({tuple(column.nonzero().flatten().tolist()) for column in weight.T}) > 1


@pytest.mark.parametrize("init", ["sparse", nn.init.sparse_])
def test_what_is_not_zero_in_a_sparse_weight_is_normal(init: Any) -> None:
    weight = fill((100, 80), init, sparsity=0.7, std=0.2)
    assert_drawn_from(weight[weight != 0], stats.norm(0, 0.2))
    rows = (weight != 0).sum(dim=1).double().numpy()
    # Each column keeps 30 of 100 rows at random: a row has a binomial number of entries, of variance 80 x .3 x .7.
    assert stats.chi2(99).sf(((rows - 24) ** 2).sum() / (80 * 0.3 * 0.7)) > P_VALUE


# --- Gains


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_every_nonlinearity_scales_the_weights_by_its_gain(name: str) -> None:
    """The singular values of an orthogonal matrix are the gain, exactly; that of Kaiming is the same."""
    matrix = fill((12, 12), "orthogonal", nonlinearity=name)
    gain = calculate_gain(name)
    np.testing.assert_allclose(torch.linalg.svdvals(matrix), gain, rtol=1e-5)
    assert_drawn_from(fill((60, 40), "kaiming_normal", nonlinearity=name), normal(gain / math.sqrt(40)))


def test_the_gains_of_torchs_table() -> None:
    for name in ("linear", "identity", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "sigmoid"):
        assert calculate_gain(name) == 1
    assert calculate_gain("tanh") == 5 / 3
    assert calculate_gain("relu") == math.sqrt(2)
    assert calculate_gain("selu") == 0.75
    assert calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / (1 + 0.01**2)), rel=1e-12)
    for slope in (0, 0.01, -0.3, 1, 10):
        assert calculate_gain("leaky_relu", slope) == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-12)


@pytest.mark.parametrize("slope", [True, [1], {"a": 1}, "0.1x"], ids=str)
def test_a_slope_is_a_number(slope: Any) -> None:
    with pytest.raises(ValueError, match=r"\ba\b"):
        fill((4, 4), "kaiming_normal", nonlinearity="leaky_relu", a=slope)


@pytest.mark.parametrize("name", ["", "rellu", "Conv4d", "\n"])
def test_an_unknown_nonlinearity_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown nonlinearity"):
        calculate_gain(name)


# --- Degenerate shapes

NEEDS_FANS = ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "eye", "dirac"]
FUNCTIONS = [getattr(nn.init, f"{name}_") for name in NEEDS_FANS]


@pytest.mark.parametrize(
    "init, message", [*((name, "bias") for name in NEEDS_FANS), *((f, "dimension") for f in FUNCTIONS)]
)
def test_a_vector_is_refused_and_nothing_is_written(init: Any, message: str) -> None:
    """As a policy for biases, the one place where a vector is asked for."""
    layer = nn.Linear(3, 4)
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    with pytest.raises(ValueError, match=message):
        initialize(layer, "zeros", bias=init)
    assert torch.equal(layer.weight, before[0])
    assert torch.equal(layer.bias, before[1])


@pytest.mark.parametrize(
    "init, shape, parameters",
    [(nn.init.eye_, (4, 3, 3), {}), (nn.init.dirac_, (4, 3), {}), (nn.init.sparse_, (4, 3, 3), {"sparsity": 0.5})],
)
def test_what_torch_refuses_by_its_dimensions_is_a_value_error(
    init: Any, shape: tuple[int, ...], parameters: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match="dimension"):
        fill(shape, init, **parameters)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 0, 3), (4, 0, 3, 3)])
@pytest.mark.parametrize(
    "init", ["uniform", "normal", "trunc_normal", "zeros", "ones", "sparse", *NEEDS_FANS, *FUNCTIONS[:-2]]
)
def test_a_weight_without_entries_stays_without(init: Any, shape: tuple[int, ...]) -> None:
    assert fill(shape, init).numel() == 0
