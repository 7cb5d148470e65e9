"""A description of the layer whose parameter a scheme fills: fans, groups, gates, nonlinearity.

Fans are computed from the *module*: the shape of a tensor does not reveal whether a convolution is grouped or
transposed, or whether a matrix holds three attention projections (pytorch issue 23854).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from initbench.init.gain import LINEAR, Nonlinearity
from initbench.init.memory import check_memory
from initbench.init.probing import adds_one, is_input_first
from initbench.init.roles import is_norm, is_packed_projection

if TYPE_CHECKING:
    from initbench.init.place import Place

# The number of gates, whose matrices are stacked in one recurrent weight.
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


@dataclass(frozen=True)
class Layer:
    """One parameter in its module. A scheme fills blocks of shape `shape`: (out, in / groups, *kernel)."""

    name: str  # qualified name of the parameter: "layer1.0.conv1.weight"
    module: nn.Module  # that the parameter belongs to
    key: str  # the parameter's attribute in its module: "weight"
    shape: tuple[int, ...]  # of a block: (out, in / groups, *kernel)
    fan_in: int | None  # inputs of one output unit in its group; None where the parameter has less than two dimensions
    fan_out: int | None  # outputs that one input unit feeds in its group; None likewise
    groups: int  # independent sub-matrices along the first dimension of a block (grouped convolutions)
    blocks: int  # independent matrices stacked along the first dimension of the parameter (gates, projections)
    transposed: bool  # stored as (in, out / groups, *kernel)
    offset: int  # what the module adds to the parameter: 1 to the weight of Gemma's norms, which is 0 for a scale of 1
    nonlinearity: Nonlinearity  # the model's
    position: "Place | None" = None  # None for a parameter that is not a weight matrix
    # What initializes a copy of the module, where it is not the module's own reset_parameters.
    reset: Callable[[nn.Module], None] | None = None

    def to_blocks(self, value: Tensor) -> list[Tensor]:
        """Split a tensor of the parameter's shape into contiguous blocks of shape `shape`."""
        if self.transposed:
            value = self._swap(value)
        return [block.contiguous() for block in value.chunk(self.blocks)]

    def from_blocks(self, blocks: list[Tensor], to: Tensor) -> None:
        """Write blocks back into `to`, a tensor of the parameter's shape."""
        row = 0
        target = self._swap(to) if self.transposed else to
        for block in blocks:
            part = target[row : row + len(block)]
            if part.data_ptr() != block.data_ptr():  # a block may share the memory of the parameter
                part.copy_(block)
            row += len(block)
        if self.transposed:
            to.copy_(self._swap_back(target))

    def _swap(self, value: Tensor) -> Tensor:
        inputs, outputs, *kernel = value.shape
        grouped = value.view(self.groups, inputs // self.groups, outputs, *kernel)
        return grouped.transpose(1, 2).reshape(self.groups * outputs, inputs // self.groups, *kernel)

    def _swap_back(self, value: Tensor) -> Tensor:
        outputs, inputs, *kernel = value.shape
        grouped = value.view(self.groups, outputs // self.groups, inputs, *kernel)
        return grouped.transpose(1, 2).reshape(self.groups * inputs, outputs // self.groups, *kernel)


def describe_layer(
    name: str,
    module: nn.Module,
    key: str,
    tensor: Tensor,
    nonlinearity: Nonlinearity = LINEAR,
    position: "Place | None" = None,
) -> Layer:
    """The Layer for `module.<key>`, whose qualified name is `name`.

    `nonlinearity` is that of the model. Raises ValueError for a parameter whose memory cannot
    be filled, such as a lazy one.
    """
    check_memory(name, tensor)
    groups, blocks, transposed = 1, 1, False
    shape = tuple(tensor.shape)
    if isinstance(module, _ConvNd) and key == "weight":
        groups = module.groups
        transposed = isinstance(module, _ConvTransposeNd)
        if transposed:
            shape = (shape[1] * groups, shape[0] // groups, *shape[2:])
    elif key == "weight" and is_input_first(module):
        transposed = True
        shape = (shape[1], shape[0])
    elif isinstance(module, nn.RNNBase) and not key.startswith("weight_hr"):
        blocks = _GATES[module.mode]
    elif isinstance(module, nn.LSTMCell):
        blocks = _GATES["LSTM"]
    elif isinstance(module, nn.GRUCell):
        blocks = _GATES["GRU"]
    elif isinstance(module, nn.MultiheadAttention) and key in ("in_proj_weight", "in_proj_bias"):
        blocks = 3  # query, key and value
    if is_packed_projection(module, name.rpartition(".")[0]):
        blocks = 3
    if shape:
        shape = (shape[0] // blocks, *shape[1:])
    fan_in, fan_out = fans(shape, groups)
    offset = int(key == "weight" and is_norm(module) and adds_one(module))
    return Layer(name, module, key, shape, fan_in, fan_out, groups, blocks, transposed, offset, nonlinearity, position)


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int | None, int | None]:
    """fan_in and fan_out of a block of shape (out, in / groups, *kernel); (None, None) below two dimensions.

    fan_in is the number of inputs of one output unit, fan_out the number of outputs that one input unit feeds. In a
    grouped convolution both are counted within the group.
    """
    if len(shape) < 2:
        return None, None
    receptive_field = prod(shape[2:])
    return shape[1] * receptive_field, shape[0] // groups * receptive_field
