"""Chrono initialization: biases that give the units of an LSTM or GRU memories of different lengths."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

# torch stacks the gates as input, forget, cell, output and as reset, update, new.
_GATES = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3}


@torch.no_grad()
def chrono_(
    model: nn.Module,
    recurrents: list[tuple[str, nn.Module]],
    stream: Callable[[str], Generator],
    *,
    t_max: float = 28,
) -> None:
    """LSTM: forget bias b ~ log U(1, t_max - 1), input bias -b; GRU: update bias b ~ log U(1, t_max - 1).

    A unit with the forget gate sigmoid(b) has the time constant 1 / (1 - sigmoid(b)) = 1 + e^b, which is uniform on (2,
    t_max): `t_max` is the longest dependence to be learned, in steps. In the paper's gated network the gate with bias
    -b admits the new state; torch's GRU computes (1 - z) n + z h, so its gate z keeps the old state and has bias +b.

    torch adds two biases: bias_ih receives the value and bias_hh zero. The biases of all other gates, and the weights,
    are left as the policies set them. Each layer, direction and cell is drawn separately.

    Raises ValueError for t_max below 2, and for recurrent layers without gates (RNN, RNNCell) or without biases.

    Source: Tallec & Ollivier 2018, Can recurrent neural networks warp time?
    Acts on: the biases of the forget and input gates of LSTMs, and of the update gate of GRUs.
    """
    if not 2 <= t_max < math.inf:
        raise ValueError(f"chrono needs a t_max of at least 2 steps, got {t_max}")
    for name, module in recurrents:
        path = name or type(module).__name__
        kind = next((kind for kind in _GATES if isinstance(module, kind)), None)
        if kind is None:
            raise ValueError(f"{path} is a {type(module).__name__}, which has no gates: chrono needs an LSTM or a GRU")
        for key, bias, other in biases_of(module, path, "chrono"):
            memory = _log_uniform(len(bias) // _GATES[kind], t_max, stream(f"{name}.{key}".lstrip(".")))
            set_gate(bias, other, _GATES[kind], 1, memory)
            if _GATES[kind] == 4:
                set_gate(bias, other, 4, 0, -memory)


def _log_uniform(size: int, t_max: float, generator: Generator) -> Tensor:
    return torch.empty(size).uniform_(1, t_max - 1, generator=generator).log()


def biases_of(module: nn.Module, path: str, label: str) -> list[tuple[str, Tensor, Tensor]]:
    """For each layer and direction of a recurrent network or cell: the name of bias_ih, bias_ih itself and bias_hh.

    Raises ValueError if it was built without biases.
    """
    if not module.bias:
        raise ValueError(f"{path} was built with bias=False, and {label} sets biases")
    biases = dict(module.named_parameters(recurse=False))
    return [(key, bias, biases[key.replace("_ih", "_hh")]) for key, bias in biases.items() if key.startswith("bias_ih")]


def set_gate(bias: Tensor, other: Tensor, gates: int, gate: int, value: Tensor) -> None:
    """Set the bias of one of the stacked gates, which torch computes as a sum of two."""
    bias.chunk(gates)[gate].copy_(value)
    other.chunk(gates)[gate].zero_()
