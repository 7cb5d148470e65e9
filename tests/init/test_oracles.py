"""Draws against jax.nn.initializers and keras.initializers: the same distribution, never the same numbers.

Needs the extra `oracles`; `make test-oracles` installs it, and without it all of this is skipped.

What is compared is the kernel of a layer, so the fans are compared too. JAX and Keras store a dense kernel as
(in, out) and a convolution's as (height, width, in, out); here they are (out, in) and (out, in, height, width).
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from torch import nn

import initbench

os.environ["KERAS_BACKEND"] = "torch"  # Keras asks for TensorFlow otherwise
jax = pytest.importorskip("jax", reason="needs the extra `oracles`")
keras = pytest.importorskip("keras", reason="needs the extra `oracles`")

Draw = Callable[[tuple[int, ...]], np.ndarray]

# With fixed seeds each comparison has one outcome for ever; one in ten thousand right ones would have been unlucky.
P_VALUE = 1e-4

# fan_in, fan_out: 80, 300 and 135, 360 (a 3 x 3 kernel), far enough apart for a wrong fan to show.
LAYERS = {"dense": nn.Linear(80, 300), "conv": nn.Conv2d(15, 40, 3)}
KERNELS = {"dense": (80, 300), "conv": (3, 3, 15, 40)}  # as JAX and Keras store them

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("normal", "truncated_normal", "uniform")
KERAS_DISTRIBUTIONS = {"normal": "untruncated_normal", "truncated_normal": "truncated_normal", "uniform": "uniform"}
SCALE = 1.7


def ours(module: nn.Module, name: str, seed: int = 0, **parameters: Any) -> np.ndarray:
    """The weight, in the layout of JAX and Keras."""
    weight = initbench.initialize(module, name, seed=seed, **parameters).weight.detach().numpy().copy()
    return weight.transpose(*range(2, weight.ndim), 1, 0)


def of_jax(initializer: Callable[..., Any]) -> Draw:
    return lambda shape: np.asarray(initializer(jax.random.key(0), shape))


def of_keras(initializer: Callable[..., Any]) -> Draw:
    return lambda shape: initializer(shape).detach().cpu().numpy()  # keras.ops.convert_to_numpy makes numpy 2 warn


def assert_same_distribution(first: np.ndarray, second: np.ndarray) -> None:
    """Equal shapes, moments within five standard errors, and a two-sample Kolmogorov-Smirnov test."""
    assert first.shape == second.shape
    first, second = first.ravel().astype(float), second.ravel().astype(float)
    for power in (1, 2, 3, 4):
        a, b = first**power, second**power
        assert abs(a.mean() - b.mean()) < 5 * np.sqrt((a.var() + b.var()) / len(a)), f"moment {power}"
    assert stats.ks_2samp(first, second).pvalue > P_VALUE


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_variance_scaling_is_jaxs(mode: str, distribution: str, layer: str) -> None:
    draw = of_jax(jax.nn.initializers.variance_scaling(SCALE, mode, distribution))
    found = ours(LAYERS[layer], "variance_scaling", gain=SCALE**0.5, mode=mode, distribution=distribution)
    assert_same_distribution(found, draw(KERNELS[layer]))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])  # Keras has no fan_geo_avg
def test_variance_scaling_is_kerass(mode: str, distribution: str) -> None:
    initializer = keras.initializers.VarianceScaling(SCALE, mode, KERAS_DISTRIBUTIONS[distribution], seed=1)
    found = ours(LAYERS["conv"], "variance_scaling", gain=SCALE**0.5, mode=mode, distribution=distribution)
    assert_same_distribution(found, of_keras(initializer)(KERNELS["conv"]))


# Here and in theirs. Their "normal" is truncated, and torch's Xavier and Kaiming, whose names ours have, is plain.
HE = {"gain": 2**0.5}
TRUNCATED = {"name": "variance_scaling", "distribution": "truncated_normal"}
NAMED = {
    "lecun_normal": {"name": "lecun_normal"},
    "lecun_uniform": {"name": "lecun_uniform"},
    "glorot_normal": {**TRUNCATED, "mode": "fan_avg"},
    "glorot_uniform": {"name": "xavier_uniform"},
    "he_normal": {**TRUNCATED, **HE},
    "he_uniform": {"name": "kaiming_uniform", **HE},
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", NAMED)
def test_named_ones_are_jaxs_and_kerass(name: str, layer: str) -> None:
    found = ours(LAYERS[layer], **NAMED[name])
    in_keras = getattr(keras.initializers, "".join(word.capitalize() for word in name.split("_")))
    assert_same_distribution(found, of_jax(getattr(jax.nn.initializers, name)())(KERNELS[layer]))
    assert_same_distribution(found, of_keras(in_keras(seed=1))(KERNELS[layer]))


def test_a_truncated_normal_has_their_bounds() -> None:
    """With fan_in 80 and variance 1 / 80, the largest of 24,000 is just below 2 std / 0.8796 in all three."""
    bound = 2 / 0.87962566103423978 / 80**0.5
    draws = [of_jax(jax.nn.initializers.lecun_normal()), of_keras(keras.initializers.LecunNormal(seed=1))]
    for kernel in (ours(nn.Linear(80, 300), "lecun_normal"), *(draw((80, 300)) for draw in draws)):
        assert 0.99 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)


def test_trunc_normal_is_theirs_but_for_the_units_of_its_bounds() -> None:
    """Neither corrects the standard deviation; theirs cut at two of it, ours and torch's at absolute bounds."""
    found = ours(nn.Linear(80, 300), "trunc_normal", std=0.02, a=-0.04, b=0.04)
    in_keras = keras.initializers.TruncatedNormal(stddev=0.02, seed=1)
    assert_same_distribution(found, of_jax(jax.nn.initializers.truncated_normal(0.02))((80, 300)))
    assert_same_distribution(found, of_keras(in_keras)((80, 300)))


def haar(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The singular values of a kernel as a matrix (*, out), and its first entry.

    A matrix of Haar measure, of whatever size, differs from one without the sign correction of QR in the
    distribution of that entry: without it, the signs of the diagonal are not free.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return np.linalg.svd(matrix, compute_uv=False), matrix[0, 0]


@pytest.mark.parametrize("shape", [(7, 7), (12, 5), (5, 12), (3, 3, 4, 6)])
def test_orthogonal_is_theirs(shape: tuple[int, ...]) -> None:
    """All singular values are the gain, and entry (0, 0) has one distribution over 120 seeds."""
    module = nn.Linear(*shape) if len(shape) == 2 else nn.Conv2d(shape[2], shape[3], shape[:2])
    keys = jax.random.split(jax.random.key(0), 120)
    theirs = [
        np.asarray(jax.vmap(lambda key: jax.nn.initializers.orthogonal(1.5)(key, shape))(keys)),
        np.stack([of_keras(keras.initializers.Orthogonal(1.5, seed=seed))(shape) for seed in range(120)]),
    ]
    found = [haar(ours(module, "orthogonal", seed, gain=1.5)) for seed in range(120)]
    for kernels in theirs:
        expected = [haar(kernel) for kernel in kernels]
        for values, _ in (*found, *expected):
            np.testing.assert_allclose(values, 1.5, rtol=1e-5)
        entries = [[entry for _, entry in group] for group in (found, expected)]
        assert stats.ks_2samp(*entries).pvalue > P_VALUE


@pytest.mark.parametrize("size", [3, 4])
def test_delta_orthogonal_is_jaxs(size: int) -> None:
    """The same tap, of an even kernel too, and there the same distribution; zeros everywhere else."""
    module, shape = nn.Conv2d(4, 6, size), (size, size, 4, 6)
    keys = jax.random.split(jax.random.key(0), 120)
    theirs = np.asarray(jax.vmap(lambda key: jax.nn.initializers.delta_orthogonal(1.5)(key, shape))(keys))
    found = np.stack([ours(module, "delta_orthogonal", seed, gain=1.5) for seed in range(120)])
    tap = (size - 1) // 2
    for kernels in (found, theirs):
        assert set(zip(*np.nonzero(kernels.any(axis=(0, 3, 4))), strict=True)) == {(tap, tap)}
        np.testing.assert_allclose(np.linalg.svd(kernels[:, tap, tap], compute_uv=False), 1.5, rtol=1e-5)
    for row, column in ((0, 0), (3, 5)):
        entries = [kernels[:, tap, tap, row, column] for kernels in (found, theirs)]
        assert stats.ks_2samp(*entries).pvalue > P_VALUE
