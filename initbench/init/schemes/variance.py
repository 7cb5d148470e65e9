"""The variance family: zero-mean draws whose variance is determined by the fans and a gain.

With the same generator the numbers equal those of torch.nn.init bit for bit, wherever its fans are correct. They are
not correct for grouped and transposed convolutions, nor for parameters that stack gates or attention projections; there
the fans are those of the module, and each block is drawn separately.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

from torch import Generator, Tensor
from torch.nn import init

from initbench.errors import unknown
from initbench.init.declarations import expected_std
from initbench.init.gain import Nonlinearity, named
from initbench.init.layer import Layer

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("normal", "truncated_normal", "uniform")

# Standard deviation of a standard normal truncated to (-2, 2):
# scipy.stats.truncnorm.std(a=-2, b=2, loc=0, scale=1).
_TRUNCATED_STD = 0.87962566103423978


def resolve_gain(layer: Layer, gain: float | None, nonlinearity: str | None, a: float | None) -> float:
    """`gain` if given, else the gain of `resolve_nonlinearity`.

    Raises ValueError as that does, and for a nonlinearity or slope that is given beside a gain.
    """
    if gain is None:
        return resolve_nonlinearity(layer, nonlinearity, a).gain
    refuse_unused(nonlinearity, a, f"gain is {gain:g}", "gain=null")
    return gain


def resolve_nonlinearity(layer: Layer, nonlinearity: str | None, a: float | None) -> Nonlinearity:
    """The nonlinearity of that name, or the model's if that is None, with the slope `a` if it is a leaky_relu.

    Warns if the model's is only assumed to be linear. Raises ValueError for an unknown name, and for a slope that
    another nonlinearity does not have.
    """
    chosen = layer.nonlinearity if nonlinearity is None else named(nonlinearity)
    if chosen.is_assumed and layer.position is not None and layer.position.count > 1:
        warnings.warn(
            "no activation module is found in the model, so the gain is 1; if its forward calls an activation as a "
            "function (F.relu), set nonlinearity=relu, and nonlinearity=linear if it has none",
            stacklevel=2,
        )
    if a is None:
        return chosen
    if chosen.name != "leaky_relu":
        raise ValueError(
            f"a={a:g} is the negative slope of leaky_relu, and the nonlinearity is {chosen.name}, which has none: "
            "leave a out, or set nonlinearity=leaky_relu"
        )
    return replace(chosen, negative_slope=a)


def refuse_unused(nonlinearity: str | None, a: float | None, reason: str, remedy: str) -> None:
    """Raise ValueError for a nonlinearity or slope that changes nothing, which would make two arms of one."""
    for key, value in {"nonlinearity": nonlinearity, "a": a}.items():
        if value is not None:
            raise ValueError(f"{key}={value} changes nothing, since {reason}: leave it out, or set {remedy}")


def std_of(layer: Layer, gain: float, mode: str) -> float:
    """gain / sqrt(fan), with the fan that `mode` names. Raises ValueError for an unknown mode, and without fans."""
    if layer.fan_in is None or layer.fan_out is None:
        raise ValueError(f"{layer.name} has shape {layer.shape}: fans need at least two dimensions")
    fan = {
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "fan_avg": (layer.fan_in + layer.fan_out) / 2,
        "fan_geo_avg": math.sqrt(layer.fan_in * layer.fan_out),
    }
    if mode not in fan:
        raise unknown("mode", mode, MODES)
    return gain / math.sqrt(fan[mode])


def _std(mode: str, gain: float | None) -> Callable[..., float]:
    """The standard deviation of a scheme of the family, as a function of its parameters and these defaults."""

    def std(
        layer: Layer,
        *,
        gain: float | None = gain,
        mode: str = mode,
        nonlinearity: str | None = None,
        a: float | None = None,
        distribution: str | None = None,
    ) -> float:
        return std_of(layer, resolve_gain(layer, gain, nonlinearity, a), mode)

    return std


@expected_std(_std("fan_in", 1.0))
def variance_scaling_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """Variance gain^2 / fan, the common formula of Glorot & Bengio (2010) and He et al. (2015).

    mode: fan_in, fan_out, fan_avg = (fan_in + fan_out) / 2 or fan_geo_avg = sqrt(fan_in * fan_out).
    distribution: normal; truncated_normal, truncated at two standard deviations and rescaled to the same variance; or
    uniform on +-sqrt(3 * variance).
    gain: None for the gain of `nonlinearity`, or of the model's if that is None too.
    Raises ValueError for an unknown mode or distribution, and for a tensor without fans.

    Source: Glorot & Bengio 2010; He et al. 2015; jax.nn.initializers.
    Acts on: every weight.
    """
    draw_(tensor, generator, std_of(layer, resolve_gain(layer, gain, nonlinearity, a), mode), distribution)


def draw_(tensor: Tensor, generator: Generator, std: float, distribution: str) -> None:
    """Fill with zero-mean numbers of standard deviation `std`. Raises ValueError for an unknown distribution."""
    if distribution == "normal":
        init.normal_(tensor, 0.0, std, generator)
    elif distribution == "truncated_normal" and std == 0:  # torch divides by it
        init.zeros_(tensor)
    elif distribution == "truncated_normal":
        std /= _TRUNCATED_STD
        init.trunc_normal_(tensor, 0.0, std, -2 * std, 2 * std, generator)
    elif distribution == "uniform":
        bound = math.sqrt(3.0) * std
        init.uniform_(tensor, -bound, bound, generator)
    else:
        raise unknown("distribution", distribution, DISTRIBUTIONS)


@expected_std(_std("fan_avg", 1.0))
def xavier_uniform_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = 1.0,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """U(-b, b) with b = gain * sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Source: Glorot & Bengio 2010, eq. 16.
    Acts on: every weight.
    """
    std = std_of(layer, resolve_gain(layer, gain, nonlinearity, a), "fan_avg")
    draw_(tensor, generator, std, "uniform")


@expected_std(_std("fan_avg", 1.0))
def xavier_normal_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = 1.0,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """N(0, gain^2 * 2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 12).

    Source: Glorot & Bengio 2010, eq. 12.
    Acts on: every weight.
    """
    std = std_of(layer, resolve_gain(layer, gain, nonlinearity, a), "fan_avg")
    draw_(tensor, generator, std, "normal")


@expected_std(_std("fan_in", None))
def kaiming_uniform_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    mode: str = "fan_in",
    gain: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """U(-b, b) with b = gain * sqrt(3 / fan) (He et al. 2015, eq. 10 and 14).

    Source: He, Zhang, Ren & Sun 2015, eq. 10 and 14.
    Acts on: every weight.
    """
    std = std_of(layer, resolve_gain(layer, gain, nonlinearity, a), mode)
    draw_(tensor, generator, std, "uniform")


@expected_std(_std("fan_in", None))
def kaiming_normal_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    mode: str = "fan_in",
    gain: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """N(0, gain^2 / fan) (He et al. 2015, eq. 10 and 14).

    Source: He, Zhang, Ren & Sun 2015, eq. 10 and 14.
    Acts on: every weight.
    """
    std = std_of(layer, resolve_gain(layer, gain, nonlinearity, a), mode)
    draw_(tensor, generator, std, "normal")


@expected_std(_std("fan_in", 1.0))
def lecun_uniform_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """U(+-sqrt(3 / fan_in)) (LeCun et al. 1998, Efficient BackProp, section 4.6); as in JAX and Keras.

    Source: LeCun, Bottou, Orr & Mueller 1998, section 4.6.
    Acts on: every weight.
    """
    draw_(tensor, generator, std_of(layer, 1.0, "fan_in"), "uniform")


@expected_std(_std("fan_in", 1.0))
def lecun_normal_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998; Klambauer et al. 2017); as in JAX and Keras.

    Source: LeCun et al. 1998; Klambauer et al. 2017.
    Acts on: every weight.
    """
    draw_(tensor, generator, std_of(layer, 1.0, "fan_in"), "truncated_normal")
