"""The curvature of the loss at the current weights, and what it says about learning rates and batch sizes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import torch
from rich.console import Group
from rich.markup import escape
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.optim import Adam, Optimizer

from initbench.diagnostics import adam
from initbench.diagnostics.hessian import Hessian, differentiable_twice, flat, largest_eigenvalue
from initbench.diagnostics.loss import Loss
from initbench.diagnostics.noise import MICRO_BATCHES, noise_scale
from initbench.diagnostics.prepare import Prepared, outputs_and_loss, prepared
from initbench.init.roles import unwrap
from initbench.schema.target import reason

_FRACTIONS = (0, 1 / 8, 1 / 4, 1 / 2, 1, 2)  # of the critical learning rate: the steps along the gradient


@dataclass(frozen=True, repr=False)
class Curvature:
    """What `curvature` finds; `print` shows all of it. What the model does not have is None, or an empty tuple.

    hessian_largest: the largest eigenvalue of the Hessian H of the loss.

    critical_learning_rate: 2 / hessian_largest. On a quadratic, gradient descent without momentum is unstable above it.
    With a momentum b of torch.optim.SGD, the critical rate is 1 + b times as large; with nesterov=True,
    (1 + b) / (1 + 2 b) times.

    preconditioned_hessian_largest: the largest eigenvalue of P^-1/2 H P^-1/2, where P is the preconditioner of Adam.

    preconditioned_critical_learning_rate: (2 + 2 b1) / ((1 - b1) preconditioned_hessian_largest). On a quadratic, Adam
    with a constant P is unstable above it.

    gradient_noise_scale: tr(Sigma) / |G|^2, a number of samples, where G is the expected gradient and Sigma the
    covariance of the gradient of one sample. Batches much larger than it gain little.

    loss_along_gradient: the loss at w - s G for each s in step_along_gradient, which are 0 and 1/8, 1/4, 1/2, 1 and 2
    times critical_learning_rate.

    missing: the quantities that the model does not have, with the reasons. products: the number of products of the
    Hessian with a vector. seconds: how long all of it took.
    """

    hessian_largest: float | None = None
    critical_learning_rate: float | None = None
    preconditioned_hessian_largest: float | None = None
    preconditioned_critical_learning_rate: float | None = None
    gradient_noise_scale: float | None = None
    step_along_gradient: tuple[float, ...] = ()
    loss_along_gradient: tuple[float, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    products: int = 0
    seconds: float = field(default=0.0, compare=False)

    def rows(self) -> list[dict[str, Any]]:
        """Tidy rows: layer "", quantity, index (of a step along the gradient, else 0), value."""
        names = [one.name for one in fields(self) if one.name not in ("missing", "products", "seconds")]
        return [
            {"layer": "", "quantity": quantity, "index": index, "value": number}
            for quantity in names
            if (value := getattr(self, quantity)) is not None
            for index, number in enumerate(value if isinstance(value, tuple) else [value])
        ]

    def __rich__(self) -> Group:
        return Group(*map(escape, self._lines()))

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = []
        for words, largest, rate in (
            ("largest eigenvalue of the Hessian", self.hessian_largest, self.critical_learning_rate),
            ("preconditioned by Adam", self.preconditioned_hessian_largest, self.preconditioned_critical_learning_rate),
        ):
            if largest is not None:
                critical = "" if rate is None else f", critical learning rate {rate:.3g}"
                lines.append(f"{words} {largest:.4g}{critical}")
        if self.gradient_noise_scale is not None:
            lines.append(f"gradient noise scale {self.gradient_noise_scale:.3g} samples")
        if self.loss_along_gradient:
            lines.append("steps along the gradient " + ", ".join(f"{step:.3g}" for step in self.step_along_gradient))
            lines.append("loss after such a step " + ", ".join(f"{loss:.4g}" for loss in self.loss_along_gradient))
        lines += [f"{quantity}: {why}" for quantity, why in self.missing.items()]
        return [*lines, f"curvature took {self.seconds:.2g} s: {self.products} products of a Hessian and a vector"]


def curvature(
    model: nn.Module,
    batch: tuple[Tensor, Tensor],
    *,
    loss: Loss = F.cross_entropy,
    optimizer: Optimizer | None = None,
    seed: int = 0,
) -> Curvature:
    """The curvature of the loss of any nn.Module at its current weights; the model stays as it is.

    batch: (inputs, targets), N samples along the first dimension. The loss is that on this batch.

    loss: maps (outputs, targets) to a scalar, as in `initbench.diagnose`. Weight decay is no part of it.

    optimizer: of the model's own parameters. If it is torch's Adam or AdamW, the Hessian is preconditioned as well, by
    P = sqrt(v_hat) + eps with the optimizer's v_hat. Before its first step there is none, and v_hat is the square of
    the gradient on this batch, as it is after a step with this gradient. The bias correction of the first moment, which
    is gone after about 1 / (1 - b1) steps, is no part of P.

    seed: chooses where the Lanczos iterations start. The same model, batch and seed give the same bits.

    The Hessian is that of all parameters that require a gradient; the largest eigenvalue, in the order of the number
    line, has a relative error of at most 1 %. The noise scale is estimated from at most 16 micro-batches of equal
    size, without the samples that are left over.

    It runs on a copy in training mode and in fp32 or more, as `diagnose` does: batch norm uses the statistics of the
    batch, or of the micro-batch, as in data-parallel training. Dropout and the like are off.

    Raises ValueError for a batch without targets or with fewer than two samples, for a model or a loss that fails, for
    a loss that is no scalar or does not depend on the weights, and for a model none of whose parameters requires a
    gradient. If something cannot be computed, for example because a layer has no second derivative, it is missing, and
    `Curvature.missing` says why.

    Sources: Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability"; Cohen
    et al. 2022, "Adaptive gradient methods at the edge of stability"; McCandlish et al. 2018, "An empirical model of
    large-batch training".
    """
    started = time.perf_counter()
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    with torch.enable_grad(), prepared("curvature", model, batch, loss, seed) as look, differentiable_twice(look.model):
        pairs = zip(unwrap(model).parameters(), look.model.parameters(), strict=True)
        trained = [(own, copy) for own, copy in pairs if own.requires_grad]
        if not trained:
            raise ValueError("curvature needs a parameter that requires a gradient, and none does")
        parameters = [copy for _, copy in trained]
        hessian = Hessian(outputs_and_loss("curvature", look)[1], parameters)
        gradient = flat(hessian.gradients)
        start = torch.randn(len(gradient), generator=torch.Generator().manual_seed(seed)).to(gradient)
        with _noting(missing, "hessian_largest"):
            found["hessian_largest"] = largest = largest_eigenvalue(hessian, start)
            with _noting(missing, "critical_learning_rate"):
                found["critical_learning_rate"] = 2 / _positive(largest)
        if isinstance(optimizer, Adam):
            with _noting(missing, "preconditioned_hessian_largest"):
                root = adam.preconditioner(optimizer, [own for own, _ in trained], hessian.gradients).rsqrt()
                largest = largest_eigenvalue(partial(_preconditioned, hessian, root), start)
                found["preconditioned_hessian_largest"] = largest
                with _noting(missing, "preconditioned_critical_learning_rate"):
                    found["preconditioned_critical_learning_rate"] = adam.threshold(optimizer) / _positive(largest)
        products = hessian.products
        del hessian  # and with it the graph, before others are made
        with _noting(missing, "gradient_noise_scale"):
            found["gradient_noise_scale"] = noise_scale(*_micro_batches(look, parameters))
        if rate := found.get("critical_learning_rate"):
            with _noting(missing, "loss_along_gradient"):
                steps = tuple(fraction * rate for fraction in _FRACTIONS)
                found["loss_along_gradient"] = _losses(look, parameters, gradient, steps)
                found["step_along_gradient"] = steps
    return Curvature(**found, missing=missing, products=products, seconds=time.perf_counter() - started)


def _preconditioned(hessian: Hessian, root: Tensor, vector: Tensor) -> Tensor:
    return root * hessian(root * vector)


@contextmanager
def _noting(missing: dict[str, str], quantity: str) -> Iterator[None]:
    """What cannot be computed is missing, and nothing else is."""
    try:
        yield
    except Exception as error:  # torch raises many kinds where it cannot differentiate, or has no memory left
        missing[quantity] = reason(error)


def _positive(eigenvalue: float) -> float:
    if eigenvalue <= 0:
        raise ValueError(f"the largest eigenvalue is {eigenvalue:.3g}, so no learning rate is too high on a quadratic")
    return eigenvalue


def _micro_batches(look: Prepared, parameters: Sequence[Tensor]) -> tuple[Iterator[Tensor], int]:
    """The gradient (P,) of each micro-batch, and the number of samples in each."""
    parts = min(MICRO_BATCHES, len(look.inputs))
    size = len(look.inputs) // parts

    def gradients() -> Iterator[Tensor]:
        for first in range(0, parts * size, size):
            part = look._replace(inputs=look.inputs[first : first + size], targets=look.targets[first : first + size])
            _, value = outputs_and_loss("curvature", part)
            yield flat(torch.autograd.grad(value, parameters, materialize_grads=True))

    return gradients(), size


@torch.no_grad()
def _losses(
    look: Prepared, parameters: Sequence[Tensor], gradient: Tensor, steps: Sequence[float]
) -> tuple[float, ...]:
    """The loss at w - step * gradient (P,) for each step, w being the current weights. The weights stay at the last."""
    starts = [parameter.clone() for parameter in parameters]
    parts = gradient.split([parameter.numel() for parameter in parameters])
    losses = []
    for step in steps:
        for parameter, start, part in zip(parameters, starts, parts, strict=True):
            parameter.copy_(start - step * part.view_as(start))
        losses.append(float(look.loss(look.model(look.inputs), look.targets)))
    return tuple(losses)
