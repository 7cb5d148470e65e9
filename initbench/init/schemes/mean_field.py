"""Mean-field theory of wide random networks: weights at the edge of chaos (Poole et al. 2016, Schoenholz et al. 2017).

In a wide network with weights N(0, sigma_w^2 / fan_in), biases N(0, sigma_b^2) and activation phi, the variance q of
the pre-activations of one input, and the correlation c between those of two inputs, change from layer to layer by

    q' = sigma_w^2 E[phi(u)^2] + sigma_b^2,                      u ~ N(0, q)
    c' = (sigma_w^2 E[phi(u1) phi(u2)] + sigma_b^2) / q*,        (u1, u2) ~ N(0, q* [1 c; c 1])

with q* the fixed point of the first. chi_1 = sigma_w^2 E[phi'(u)^2] at q* is the slope of the second at c = 1. Below 1
all inputs become similar (order, gradients vanish); above 1 similar inputs become different (chaos, gradients explode).
At 1, the edge of chaos, signals and gradients propagate deepest.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from scipy.optimize import brentq
from torch import Generator, Tensor

from initbench.errors import unknown
from initbench.init.declarations import expected_std
from initbench.init.gain import Nonlinearity, named
from initbench.init.layer import Layer
from initbench.init.schemes.variance import refuse_unused, resolve_nonlinearity, std_of

# The experiments of Schoenholz et al. 2017 have sigma_b^2 = 0.05.
_SIGMA_B = math.sqrt(0.05)
_TANH = named("tanh")

# The grid of variances on which fixed points are searched; the first one stands for zero.
_VARIANCES = torch.logspace(-12, 4, 161, dtype=torch.float64).tolist()


def _sigmas(
    layer: Layer, sigma_w: float | str, sigma_b: float | None, nonlinearity: str | None, a: float | None
) -> tuple[float, float]:
    if sigma_b is not None and not isinstance(sigma_w, str):
        refuse_unused(nonlinearity, a, "sigma_w and sigma_b are numbers", "sigma_w=critical")
    else:
        phi = resolve_nonlinearity(layer, nonlinearity, a)
        if sigma_b is None:
            sigma_b = 0.0 if keeps_any_variance(phi) else _SIGMA_B
        if sigma_w == "critical":
            return critical(phi, sigma_b)[0], sigma_b
    if isinstance(sigma_w, str):
        raise unknown("sigma_w", sigma_w, ["critical", "a number"])
    if sigma_w < 0 or sigma_b < 0:
        raise ValueError(f"sigma_w and sigma_b must not be negative, got {sigma_w} and {sigma_b}")
    return sigma_w, sigma_b


def _std(
    layer: Layer,
    *,
    sigma_w: float | str = "critical",
    sigma_b: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> float:
    of_weight, of_bias = _sigmas(layer, sigma_w, sigma_b, nonlinearity, a)
    return of_bias if layer.fan_in is None else std_of(layer, of_weight, "fan_in")


@expected_std(_std)
def mean_field_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    sigma_w: float | str = "critical",
    sigma_b: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """Weights N(0, sigma_w^2 / fan_in); as the policy for biases it fills them with N(0, sigma_b^2).

    sigma_w: a number, or "critical" for the edge of chaos at this sigma_b, `critical(phi, sigma_b)`.
    sigma_b: None for sqrt(0.05), or for 0 if the nonlinearity is critical only there (relu, leaky_relu, linear); gelu
    needs 0.45 or more, silu 0.8.
    nonlinearity: None for the model's; `a`: the negative slope of leaky_relu.

    The theory describes plain networks without norms or skip connections. A recurrent layer has two biases, which add
    up. Raises ValueError for negative numbers, and if there is no critical point.

    Source: Poole et al. 2016; Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, eq. 3 to 5.
    Acts on: the weights and biases of every linear and convolutional layer.
    """
    std = _std(layer, sigma_w=sigma_w, sigma_b=sigma_b, nonlinearity=nonlinearity, a=a)
    tensor.normal_(0.0, std, generator=generator)


@cache
def critical(phi: Nonlinearity, sigma_b: float) -> tuple[float, float]:
    """(sigma_w, q*) at the edge of chaos: chi_1 = 1 at a stable fixed point q* of the variance.

    At a critical point of variance q, sigma_w^2 = 1 / E[phi'(u)^2] and sigma_b^2 = q - sigma_w^2 E[phi(u)^2], both
    functions of q alone; the second is solved for q. relu, leaky_relu and linear preserve every variance if sigma_b is
    0, and have no other critical point; q* is then 1.
    Raises ValueError for a negative sigma_b, and if there is no critical point.
    """
    if sigma_b < 0:
        raise ValueError(f"sigma_b must not be negative, got {sigma_b}")
    if keeps_any_variance(phi):
        if sigma_b:
            raise ValueError(
                f"{phi.name} has no critical point at sigma_b = {sigma_b:g}, where variances grow without bound: "
                "give sigma_b = 0"
            )
        return _critical_sigma_w(phi, 1.0), 1.0
    surplus = partial(_surplus, phi, sigma_b)
    values = [surplus(q) for q in _VARIANCES]
    candidates = [
        brentq(surplus, low, high)
        for low, high, at_low, at_high in zip(_VARIANCES, _VARIANCES[1:], values, values[1:], strict=False)
        if (at_low < 0) != (at_high < 0)
    ]
    if abs(values[0]) < 1e-3 * _VARIANCES[0]:
        candidates.insert(0, _VARIANCES[0])
    for q in candidates:
        sigma_w = _critical_sigma_w(phi, q)
        if _is_stable(phi, sigma_w, sigma_b, q):
            return sigma_w, 0.0 if q == _VARIANCES[0] else q
    raise ValueError(
        f"{phi.name} has no critical point of stable variance at sigma_b = {sigma_b:g}: give another sigma_b, or a "
        "number as sigma_w"
    )


def q_star(sigma_w: float, sigma_b: float, phi: Nonlinearity = _TANH) -> float:
    """The variance to which pre-activations converge: the smallest stable fixed point of q -> q'.

    Raises ValueError if there is none: variances grow without bound, or every variance is preserved (relu).
    """

    def growth(q: float) -> float:
        return _next_variance(phi, sigma_w, sigma_b, q) / q - 1

    low = _VARIANCES[0]
    for q in _VARIANCES:
        if growth(q) < -1e-9:
            settled = brentq(growth, low, q) if growth(low) > 0 else low
            return 0.0 if sigma_b == 0 and settled < 1e-6 else settled  # tiny variances are rounding errors
        low = q
    raise ValueError(f"{phi.name} has no stable variance at sigma_w = {sigma_w} and sigma_b = {sigma_b}")


def chi(sigma_w: float, sigma_b: float, phi: Nonlinearity = _TANH) -> float:
    """chi_1 = sigma_w^2 E[phi'(u)^2] at q*: order below 1, chaos above 1. Raises ValueError as `q_star` does."""
    q = max(q_star(sigma_w, sigma_b, phi), _VARIANCES[0])
    return sigma_w**2 / _critical_sigma_w(phi, q) ** 2


def depth_scale(sigma_w: float, sigma_b: float, phi: Nonlinearity = _TANH) -> float:
    """xi_c in layers: correlations approach their fixed point as exp(-depth / xi_c) (Schoenholz et al. 2017, eq. 9).

    Networks were trainable up to a depth of about 6 xi_c. It is infinite at the edge of chaos.
    Raises ValueError as `q_star` does.
    """
    slope = chi(sigma_w, sigma_b, phi)
    if slope > 1:  # chaos: the fixed point is no longer c = 1
        q = q_star(sigma_w, sigma_b, phi)

        def drift(c: float) -> float:
            return (sigma_w**2 * _covariance(phi, q, c) + sigma_b**2) / q - c

        fixed = brentq(drift, 0.0, 1 - 1e-6) if drift(0.0) > 1e-9 else 0.0
        slope = sigma_w**2 * _covariance(partial(_derivative, phi), q, fixed)
    return math.inf if math.isclose(slope, 1.0, abs_tol=1e-9) else -1 / math.log(slope)


@cache
def keeps_any_variance(phi: Nonlinearity) -> bool:
    """Whether phi(k x) = k phi(x) for k > 0, so that all variances behave alike (relu, leaky_relu, linear)."""
    x = torch.tensor([-9.0, -0.1, 0.1, 9.0], dtype=torch.float64)
    return bool(torch.allclose(phi(x / 3), phi(x) / 3))


def _next_variance(phi: Callable[[Tensor], Tensor], sigma_w: float, sigma_b: float, q: float) -> float:
    return sigma_w**2 * _mean(lambda u: phi(u) ** 2, q) + sigma_b**2


def _critical_sigma_w(phi: Callable[[Tensor], Tensor], q: float) -> float:
    return _mean(lambda u: _derivative(phi, u) ** 2, q) ** -0.5


def _surplus(phi: Callable[[Tensor], Tensor], sigma_b: float, q: float) -> float:
    """q minus the next variance under critical weights: zero at a critical point."""
    return q - _next_variance(phi, _critical_sigma_w(phi, q), sigma_b, q)


def _is_stable(phi: Callable[[Tensor], Tensor], sigma_w: float, sigma_b: float, q: float) -> bool:
    """Whether a variance slightly above q decreases towards it."""
    near = 1.01 * q if q > _VARIANCES[0] else 1e-3
    return _next_variance(phi, sigma_w, sigma_b, near) < near * (1 + 1e-9)


def _derivative(phi: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(phi(x).sum(), x)
    return gradient


def _mean(f: Callable[[Tensor], Tensor], q: float) -> float:
    """E[f(u)] for u ~ N(0, q)."""
    z, weights = _grid(24_000)
    return float(weights @ f(math.sqrt(q) * z))


def _covariance(f: Callable[[Tensor], Tensor], q: float, c: float) -> float:
    """E[f(u1) f(u2)] for u1, u2 ~ N(0, q) with correlation c."""
    z, weights = _grid(400)
    first = math.sqrt(q) * z[:, None]
    second = c * first + math.sqrt(q * (1 - c**2)) * z
    return float(weights @ (f(first) * f(second)) @ weights)


@cache
def _grid(points: int) -> tuple[Tensor, Tensor]:
    # The midpoint rule: exact up to rounding for smooth functions, and without a point on the kink at zero.
    step = 24 / points
    z = torch.arange(points, dtype=torch.float64) * step - 12 + step / 2
    density = torch.exp(-0.5 * z**2)
    return z, density / density.sum()
