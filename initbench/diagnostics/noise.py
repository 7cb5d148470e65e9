"""The gradient noise scale: how large a batch must be until its gradient is more signal than noise."""

import math
from collections.abc import Iterable

from torch import Tensor

MICRO_BATCHES = 16  # at most


def signal_and_noise(gradients: Iterable[Tensor], samples: int) -> tuple[float, float]:
    """Unbiased estimates of |G|^2 and tr(Sigma), from the gradients (P,) of micro-batches of so many samples each.

    G is the expected gradient, Sigma the covariance of the gradient of one sample. |G|^2 may come out negative.

    Source: McCandlish et al. 2018, "An empirical model of large-batch training", appendix A.1, where the small batch is
    a micro-batch and the large one all of them together.
    """
    total: Tensor | None = None
    squares: list[float] = []
    for gradient in gradients:
        gradient = gradient.double()
        total = gradient if total is None else total.add_(gradient)
        squares.append(float(gradient.square().sum()))
    assert total is not None
    of_small = sum(squares) / len(squares)
    of_large = float((total / len(squares)).square().sum())
    small, large = samples, samples * len(squares)
    signal = (large * of_large - small * of_small) / (large - small)
    noise = (of_small - of_large) / (1 / small - 1 / large)
    return signal, max(noise, 0.0)  # rounding may make it negative


def noise_scale(gradients: Iterable[Tensor], samples: int) -> float:
    """tr(Sigma) / |G|^2, a number of samples: B_simple, eq. 2.9. Raises ValueError unless |G|^2 comes out positive."""
    signal, noise = signal_and_noise(gradients, samples)
    if not math.isfinite(signal):
        raise ValueError("the gradient is not finite")
    if signal <= 0:
        raise ValueError(f"this batch is too small to tell the gradient from 0: |G|^2 is estimated at {signal:.2g}")
    return noise / signal
