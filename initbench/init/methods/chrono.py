"""Chrono initialization: the gates of an LSTM or GRU remember for times spread over a given range."""

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

    A unit whose forget gate is sigmoid(b) forgets with the time constant 1 / (1 - sigmoid(b)) = 1 + e^b, which is
    then uniform on (2, t_max): `t_max` is the longest dependence, in steps. The paper's gated network takes in a
    new state by a gate of bias -b; torch's GRU computes (1 - z) n + z h, so its z keeps the state and takes +b.

    torch adds two biases, of which bias_ih gets the value and bias_hh zero; the biases of all other gates, and the
    weights, are what the policies made them. Each layer, direction and cell has draws of its own.
    Raises ValueError for t_max below 2, for recurrent layers without gates (RNN, RNNCell) and without biases.

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
        if not module.bias:
            raise ValueError(f"{path} was built with bias=False, and chrono is a rule for biases")
        biases = dict(module.named_parameters(recurse=False))
        for key, bias in biases.items():
            if key.startswith("bias_ih"):
                memory = _log_uniform(len(bias) // _GATES[kind], t_max, stream(f"{name}.{key}".lstrip(".")))
                other = biases[key.replace("_ih", "_hh")]
                _set(bias, other, _GATES[kind], 1, memory)
                if _GATES[kind] == 4:
                    _set(bias, other, 4, 0, -memory)


def _log_uniform(size: int, t_max: float, generator: Generator) -> Tensor:
    return torch.empty(size).uniform_(1, t_max - 1, generator=generator).log()


def _set(bias: Tensor, other: Tensor, gates: int, gate: int, value: Tensor) -> None:
    bias.chunk(gates)[gate].copy_(value)
    other.chunk(gates)[gate].zero_()
