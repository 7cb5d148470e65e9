"""The control: the initialization that a module has by itself, with numbers from the run's generator."""

import math
from collections.abc import Callable
from operator import methodcaller

from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from initbench.init.ambient import global_generators
from initbench.init.copying import copy_on_cpu, whole
from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.roles import is_norm


def _std(layer: Layer) -> float | None:
    """torch's defaults: U(+-1 / sqrt(n)) with n the fan_in of the weight, or hidden_size; N(0, 1) for embeddings."""
    module = layer.module
    if layer.reset is not None:
        return None
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return 1 / math.sqrt(3 * module.hidden_size)
    if isinstance(module, NonDynamicallyQuantizableLinear) and layer.key == "bias":
        return 0.0
    if isinstance(module, nn.Linear | _ConvNd) and layer.key in ("weight", "bias"):
        # torch computes the fan from the weight's shape, which in a transposed convolution is swapped.
        return 1 / math.sqrt(3 * math.prod(module.weight.shape[1:]))
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return 1.0
    return 0.0 if is_norm(module) else None


@expected_std(_std)
def default_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """Fill a parameter with the values that the module's own `reset_parameters` draws.

    They are drawn on a CPU copy with a seed from `generator`, so they depend neither on the device nor on torch's
    global generator, and the module's other parameters and buffers do not change. A parameter whose module has no such
    method (a class token, a layer scale) keeps its value. A model of Hugging Face transformers initializes its modules
    itself; the values are then those that it draws.

    Source: each module's own reset_parameters; transformers' _init_weights.
    Acts on: every parameter.
    """
    if (reset := reset_of(layer)) is None:
        tensor.copy_(whole(getattr(layer.module, layer.key)))
        return
    if isinstance(layer.module, NonDynamicallyQuantizableLinear) and layer.key == "bias":
        tensor.zero_()  # the output projection of nn.MultiheadAttention, which resets this bias to zero
        return
    module = copy_on_cpu(layer.module)
    with global_generators(generator):
        reset(module)
    tensor.copy_(getattr(module, layer.key))


def reset_of(layer: Layer) -> Callable[[nn.Module], object] | None:
    """What initializes a copy of the layer's module as it initializes itself; None if nothing does.

    In nn.MultiheadAttention, the name of reset_parameters is private.
    """
    if layer.reset is not None:
        return layer.reset
    names = (name for name in ("reset_parameters", "_reset_parameters") if getattr(layer.module, name, None))
    return next(map(methodcaller, names), None)
