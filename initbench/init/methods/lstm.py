"""The LSTM of Keras: the forget gate starts open."""

import torch
from torch import nn

from initbench.init.methods.chrono import biases_of, set_gate


@torch.no_grad()
def lstm_(model: nn.Module, recurrents: list[tuple[str, nn.Module]], *, forget_bias: float = 1.0) -> None:
    """The bias of the forget gate is `forget_bias`: the cell keeps sigmoid(forget_bias) of its state, 73% with 1.

    torch adds two biases: bias_ih is set to the value and bias_hh to zero. The other biases have their policy, zero.
    Input weights are Xavier's uniform and recurrent weights orthogonal, gate by gate. Keras draws the four gates as one
    matrix, so the fan_out of its input weights is four times as large, and its recurrent matrix is orthogonal as a
    whole.

    Raises ValueError for recurrent layers other than an LSTM, and for one without biases.

    Source: Jozefowicz, Zaremba & Sutskever 2015, for the forget gate; Keras, LSTM with unit_forget_bias.
    Acts on: the biases of the forget gates of LSTMs; its schemes on every weight.
    """
    for name, module in recurrents:
        path, kind = name or type(module).__name__, type(module).__name__
        if not isinstance(module, nn.LSTM | nn.LSTMCell):
            raise ValueError(f"{path} is a {kind}, which has no forget gate: lstm needs an LSTM")
        for _, bias, other in biases_of(module, path, "lstm"):
            set_gate(bias, other, 4, 1, torch.tensor(forget_bias))
