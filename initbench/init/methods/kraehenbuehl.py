"""Data-dependent initialization so that all layers learn at one rate (Krähenbühl et al. 2016)."""

import math
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.method import Batch
from initbench.init.methods.execution import RunningLayer, standardize, visit_layers


def kraehenbuehl_(
    model: nn.Module,
    batch: Batch,
    stream: Callable[[str], Generator],
    *,
    center: float = 0.0,
    iterations: int = 10,
) -> dict[str, float]:
    """Unit variance within each layer, then equal rates C_k = sqrt(mean dW_k^2 / mean W_k^2) between layers.

    1. In the order in which layers run, W / sigma and b = center - mu / sigma, unit by unit. A layer without bias,
       as before a norm, is scaled only.
    2. Repeatedly, with dW from gradients at the output drawn from N(0, 1): W_k * sqrt(C_k / C), C the geometric
       mean. Where C_k ~ 1 / |W_k|^2 (a homogeneous network, or a norm after the layer) one such step is exact, and
       the output keeps its scale. Biases are scaled with their layer's input too.

    As in the authors' code, and unlike the paper's algorithm 2, steps are not damped, and a drift of the output's
    scale in networks that are not homogeneous is undone by correcting C. Unlike both: that scale is the one that
    part 1 left (theirs is 1, which is the same where the last layer is the output); a layer without gradient (in a
    branch with a gate of 0) takes no part in 2; and of all iterations the one with the smallest spread of C_k is
    kept. For two layers in one residual branch have C_1 C_2 constant whatever their scales, so that in transformers
    equal rates need not exist, and later iterations may only push the scales apart; they end where one drives the
    gradient of a layer to zero or beyond what is finite.

    A module that runs several times is set at its first run, a weight that several modules share by the first of
    them. What is inside nn.MultiheadAttention, recurrent modules and modules that do not run stay as filled.

    Returns `ratio_spread`, the largest C_k over the smallest of the iteration that is kept.

    Raises ValueError for a unit whose output is constant on the batch or not finite, for a model whose output is not
    one tensor, and where no layer has a gradient.

    Source: Krähenbühl et al. 2016, algorithms 1 and 2; the authors' magic_init.
    Acts on: the weights and biases of the linear, bilinear and convolutional layers that run.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    modules: dict[str, Any] = {}
    input_scales: dict[str, float] = {}

    def within(layer: RunningLayer) -> None:
        standardize(layer, center)
        modules[layer.name] = layer.module
        input_scales[layer.name] = layer.input_scale

    output_scale = _scale(visit_layers(model, batch.inputs, within))
    drift = torch.zeros(())  # of the logarithm of the output's scale
    generator = stream("top gradients")
    smallest = math.inf
    best: list[Tensor] = []
    learning: Set[str] = frozenset()  # the layers that have a gradient
    for iteration in range(iterations + 1):
        log_ratios = _log_ratios(model, batch.inputs, modules, generator)
        if not best:
            _refuse_unequalisable(log_ratios)
            learning = log_ratios.keys()
        elif log_ratios.keys() != learning or not all(value.isfinite() for value in log_ratios.values()):
            break  # the scales went so far apart that a gradient underflowed
        values = torch.stack(list(log_ratios.values()))
        spread = float((values.max() - values.min()).exp())
        if spread < smallest:
            smallest, best = spread, [parameter.detach().clone() for parameter in model.parameters()]
        if iteration < iterations:
            target = values.mean() + drift / len(values)
            factors = {name: ((log_ratio - target) / 2).exp() for name, log_ratio in log_ratios.items()}
            outputs = visit_layers(model, batch.inputs, partial(_between, factors=factors, input_scales=input_scales))
            drift = (_scale(outputs) / output_scale).log()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), best, strict=True):
            parameter.copy_(value)
    return {"steps": 2 * (iteration + 1), "ratio_spread": smallest}


def _between(layer: RunningLayer, factors: Mapping[str, Tensor], input_scales: dict[str, float]) -> None:
    """Scale one layer, and its bias also by what the layers before it did to its input."""
    scale, before = layer.input_scale, input_scales[layer.name]
    factor = factors.get(layer.name, torch.ones(()).to(layer.output))
    bias = layer.module.bias
    layer.rescale(factor, None if bias is None else bias * factor * (scale / before))
    input_scales[layer.name] = scale


def _log_ratios(
    model: nn.Module, inputs: Tensor, modules: Mapping[str, Any], generator: Generator
) -> dict[str, Tensor]:
    """log C_k by layer, of those that have a gradient.

    One draw for each output of each sample: as they are independent, the square of the sum over samples is in
    expectation the sum of squares that the paper's C_k asks for.
    """
    with parametrize.cached():  # so that the weight that is differentiated is the one that is used
        weights = [module.weight for module in modules.values()]
        outputs = model(inputs)
        top = torch.randn(outputs.shape, generator=generator).to(outputs)
        gradients = torch.autograd.grad(outputs, weights, top, allow_unused=True)
    ratios = {}
    for name, weight, gradient in zip(modules, weights, gradients, strict=True):
        if gradient is not None and gradient.any():
            ratios[name] = (gradient.square().mean() / weight.detach().square().mean()).log() / 2
    return ratios


def _refuse_unequalisable(log_ratios: Mapping[str, Tensor]) -> None:
    if not log_ratios:
        raise ValueError("no layer has a gradient from the output, so there are no rates to equalise")
    for name, value in log_ratios.items():
        if not value.isfinite():
            raise ValueError(f"the gradient of layer {name} is not finite")


def _scale(outputs: Any) -> Tensor:
    """The standard deviation over samples, averaged over outputs."""
    if not isinstance(outputs, Tensor):
        raise ValueError(f"kraehenbuehl needs a model whose output is one tensor, got a {type(outputs).__name__}")
    return outputs.std(0, correction=0).mean()
