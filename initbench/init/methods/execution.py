"""Visiting the layers of a model in execution order, to set their weights from the data that reaches them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

from initbench.init.memory import storage_of
from initbench.init.parametrized import write
from initbench.init.probing import is_input_first, is_linear

LAYERS = (nn.Linear, _ConvNd, nn.Bilinear)
# These have weights but no output that is linear in one of them. They are watched because weights may be tied to
# theirs.
_OTHERS = (nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass
class LayerCall:
    """One call of a layer during a forward pass: the layer, its inputs and its output."""

    name: str
    module: Any  # one of LAYERS, or a linear layer of others
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    is_first: bool  # no module with weights ran before it

    @property
    def inputs(self) -> list[Tensor]:
        """The input tensors: one, or two for a bilinear layer."""
        return [value for value in (*self.args, *self.kwargs.values()) if isinstance(value, Tensor)]

    @property
    def bias(self) -> Tensor | None:
        """The bias of the layer; None if it has none."""
        return getattr(self.module, "bias", None)

    @property
    def input_scale(self) -> float:
        """mean |input|, or the product of both means for a bilinear layer."""
        return math.prod(float(tensor.abs().mean()) for tensor in self.inputs)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Scalar mean and standard deviation over all outputs. Raises ValueError if the latter is 0 or not finite."""
        return self._moments(tuple(range(self.output.dim())))

    def unit_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each unit (output feature, channel), of shape (units,).

        Raises ValueError if the standard deviation of a unit is 0 or not finite.
        """
        unit = self.output.dim() + self._unit_dim
        return self._moments(tuple(dim for dim in range(self.output.dim()) if dim != unit))

    def rescale(self, factors: Tensor, bias: Tensor | None = None) -> None:
        """Multiply the weight by `factors`, one or one per unit, replace the bias if one is given, and run again.

        In a weight-normalized layer the magnitudes are multiplied and the directions kept; another parametrized weight
        is set through its right_inverse.
        """
        if factors.dim():
            factors = per_unit(self.module, factors)
        magnitudes = _magnitudes(self.module)
        if magnitudes is not None and torch.broadcast_shapes(magnitudes.shape, factors.shape) == magnitudes.shape:
            magnitudes.mul_(factors)
        else:
            write(self.module, "weight", self.module.weight * factors)
        if bias is not None:
            write(self.module, "bias", bias)
        self.output = self.module.forward(*self.args, **self.kwargs)

    @property
    def _unit_dim(self) -> int:
        return -1 - len(self.module.kernel_size) if isinstance(self.module, _ConvNd) else -1

    def _moments(self, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(self.output, dims, correction=0)
        std = variance.sqrt()
        if not (mean.isfinite() & std.isfinite()).all():
            raise ValueError(f"the output of layer {self.name} on the batch is not finite")
        # A constant output counts as dead despite rounding.
        dead = std <= 1e-6 * (mean.abs() + std)
        if dead.any():
            what = f"unit {int(dead.nonzero()[0])} of layer {self.name}" if dead.dim() else f"layer {self.name}"
            raise ValueError(f"{what} is dead: its output is the same on the whole batch, so it cannot be scaled to 1")
        return mean, std


@torch.no_grad()
def visit_layers(model: nn.Module, inputs: Tensor, visit: Callable[[LayerCall], None]) -> Any:
    """Run the model once, calling `visit` on each layer directly after its first call; return the model's output.

    The rest of the forward pass sees what a visit changes. Layers are the linear, bilinear and convolutional modules
    that are called, and linear layers of other libraries, which are told by running them. A module that runs several
    times is visited once, and so is a weight shared by several modules; a weight that a module of another kind used
    before (an embedding tied to the output layer) is not visited. Neither are recurrent modules and
    nn.MultiheadAttention, whose projections are not called as modules.

    Raises ValueError if no layer runs.
    """
    used: set[object] = set()
    visited = 0

    def hook(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        nonlocal visited
        weights = {storage_of(parameter) for parameter in module.parameters()}
        is_new = bool(weights) and used.isdisjoint(weights)
        layer = LayerCall(name or type(module).__name__, module, args, kwargs, output, not used)
        used.update(weights)
        if not is_new or isinstance(module, _OTHERS):
            return output
        visit(layer)
        visited += 1
        return layer.output

    handles = [
        module.register_forward_hook(partial(hook, name), with_kwargs=True)
        for name, module in model.named_modules()
        if isinstance(module, LAYERS + _OTHERS) or is_linear(module)
    ]
    try:
        outputs = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not visited:
        raise ValueError(
            f"no linear or convolutional layer of {type(model).__name__} runs, so there is nothing to scale"
        )
    return outputs


def standardize(layer: LayerCall, center: float = 0.0) -> None:
    """W / sigma and b = center - mu / sigma, so that each unit's output has standard deviation 1 and mean `center`.

    mu and sigma are the mean and standard deviation of W x, without the bias. A layer without bias keeps its mean.
    Raises ValueError for a unit with constant output, and for a layer whose output does not scale with its weight.
    """
    mean, std = layer.unit_moments()
    bias = layer.bias
    layer.rescale(1 / std, None if bias is None else center - (mean - bias) / std)
    _, std = layer.unit_moments()
    if (std - 1).abs().max() > 0.05:  # far above rounding, TF32's included
        raise unscalable(layer, "standard deviation", float(std[(std - 1).abs().argmax()]))


def unscalable(layer: LayerCall, what: str, value: float) -> ValueError:
    """The error for a layer whose output does not scale with its weight, to be raised by the caller."""
    return ValueError(
        f"the {what} of layer {layer.name}'s output is {value:.3g} and does not become 1 by scaling its weight: "
        "a large bias, or a layer that normalizes its weight itself (spectral norm, weight standardization)"
    )


def per_unit(module: Any, values: Tensor) -> Tensor:
    """`values`, of shape (units,), reshaped to be multiplied with `module.weight`."""
    weight: Tensor = module.weight
    kernel = (1,) * (weight.dim() - 2)
    if isinstance(module, _ConvTransposeNd):  # (in, out / groups, *kernel)
        grouped = values.view(module.groups, -1)
        if module.groups > 1:
            grouped = grouped.repeat_interleave(weight.shape[0] // module.groups, 0)
        return grouped.view(len(grouped), -1, *kernel)
    return values.view(1, -1) if is_input_first(module) else values.view(-1, 1, *kernel)


def _magnitudes(module: Any) -> Tensor | None:
    """g of W = g V / |V| (Salimans & Kingma 2016); None if the weight is not parametrized by weight_norm."""
    if not parametrize.is_parametrized(module, "weight"):
        return None
    parametrizations = module.parametrizations.weight
    is_weight_norm = len(parametrizations) == 1 and isinstance(parametrizations[0], _WeightNorm)
    return parametrizations.original0 if is_weight_norm else None
