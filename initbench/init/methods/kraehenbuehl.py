"""Data-dependent initialization that makes all layers learn at the same rate (Krähenbühl et al. 2016)."""

import math
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.method import Batch
from initbench.init.methods.execution import LayerCall, standardize, visit_layers


def kraehenbuehl_(
    model: nn.Module,
    batch: Batch,
    stream: Callable[[str], Generator],
    *,
    center: float = 0.0,
    iterations: int = 10,
) -> dict[str, float]:
    """Unit variance within each layer, then equal rates C_k = sqrt(mean dW_k^2 / mean W_k^2) between layers.

    1. Within layers, in execution order: W / sigma and b = center - mu / sigma, unit by unit. A layer without bias,
       such as one before a norm, is only scaled.
    2. Between layers, repeatedly, with dW from output gradients drawn from N(0, 1): W_k * sqrt(C_k / C), with C the
       geometric mean. If C_k ~ 1 / |W_k|^2 (a homogeneous network, or a norm after the layer), one such step is exact
       and the output keeps its scale. Biases are also scaled with the input of their layer.

    As in the authors' code, and unlike the paper's algorithm 2, steps are not damped, and in networks that are not
    homogeneous C is corrected to undo the drift of the output's scale. Unlike both, that scale is the one after part 1
    (theirs is 1, which is the same if the last layer is the output); a layer without gradient (in a branch with a gate
    of 0) is left out of part 2; and the iteration with the smallest spread of C_k is kept. Two layers of one residual
    branch have a constant product C_1 C_2 at any scale, so equal rates need not exist in a transformer, and later
    iterations may only drive the scales apart. The loop ends early if the gradient of a layer becomes zero or infinite.

    A module that runs several times is set at its first run; a weight shared by several modules is set with the first
    of them. Weights inside nn.MultiheadAttention, in recurrent modules and in modules that do not run are left as they
    are.

    Returns `steps`, and as `ratio_spread` the largest C_k divided by the smallest in the iteration that is kept.

    Raises ValueError for a unit whose output is constant on the batch or not finite, for a model whose output is not a
    single tensor, and if no layer has a gradient.

    Source: Krähenbühl et al. 2016, algorithms 1 and 2; the authors' magic_init.
    Acts on: the weights and biases of the linear, bilinear and convolutional layers that run.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations}")
    modules: dict[str, Any] = {}
    input_scales: dict[str, float] = {}

    def within(layer: LayerCall) -> None:
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
            _check_gradients(log_ratios)
            learning = log_ratios.keys()
        elif log_ratios.keys() != learning or not all(value.isfinite() for value in log_ratios.values()):
            break  # the scales are so far apart that a gradient underflowed
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


def _between(layer: LayerCall, factors: Mapping[str, Tensor], input_scales: dict[str, float]) -> None:
    """Scale one layer, and its bias also by the change of its input that the layers before it caused."""
    scale, before = layer.input_scale, input_scales[layer.name]
    factor = factors.get(layer.name, torch.ones(()).to(layer.output))
    bias = layer.bias
    layer.rescale(factor, None if bias is None else bias * factor * (scale / before))
    input_scales[layer.name] = scale


def _log_ratios(
    model: nn.Module, inputs: Tensor, modules: Mapping[str, Any], generator: Generator
) -> dict[str, Tensor]:
    """log C_k of each layer that has a gradient, by name.

    One gradient is drawn for each output of each sample. Since they are independent, the expected square of the sum
    over samples is the sum of squares in the paper's C_k.
    """
    with parametrize.cached():  # so that the weight tensor passed to autograd is the one used in the forward pass
        weights = [module.weight for module in modules.values()]
        outputs = model(inputs)
        top = torch.randn(outputs.shape, generator=generator, device="cpu", dtype=torch.float32).to(outputs)
        gradients = torch.autograd.grad(outputs, weights, top, allow_unused=True)
    ratios = {}
    for name, weight, gradient in zip(modules, weights, gradients, strict=True):
        if gradient is not None and gradient.any():
            ratios[name] = (gradient.square().mean() / weight.detach().square().mean()).log() / 2
    return ratios


def _check_gradients(log_ratios: Mapping[str, Tensor]) -> None:
    if not log_ratios:
        raise ValueError("no layer has a gradient from the output, so there are no rates to equalize")
    for name, value in log_ratios.items():
        if not value.isfinite():
            raise ValueError(f"the gradient of layer {name} is not finite")


def _scale(outputs: Any) -> Tensor:
    """The standard deviation over samples, averaged over outputs. Raises ValueError unless it is one tensor."""
    if not isinstance(outputs, Tensor):
        raise ValueError(f"kraehenbuehl needs a model whose output is one tensor, got a {type(outputs).__name__}")
    return outputs.std(0, correction=0).mean()
