"""The LSTM of Keras: which bias is 1, that it is so once, and the law of the weights gate by gate."""

import math

import pytest
import torch
from torch import nn

from initbench.init import describe, initialize
from initbench.model.recurrent import lstm

SIZES = {"in_channels": 1, "image_size": 8, "num_classes": 10, "hidden_size": 16}


@pytest.mark.parametrize("suffix", ["_l0", "_l0_reverse", "_l1", "_l1_reverse"])
def test_the_two_biases_add_up_to_1_in_the_forget_gate_and_to_0_elsewhere(suffix: str) -> None:
    model = initialize(nn.LSTM(5, 6, num_layers=2, bidirectional=True), "lstm")
    total = model.get_parameter(f"bias_ih{suffix}") + model.get_parameter(f"bias_hh{suffix}")
    assert total.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12


def test_the_cell_keeps_sigmoid_of_the_bias() -> None:
    """With zero weights the cell's new content is tanh(0), so c decays by sigmoid(b_f) at each step."""
    model = initialize(nn.LSTM(3, 6), "lstm", weight=0, rules=[], forget_bias=2.0)
    _, (_, cell) = model(torch.zeros(7, 1, 3), (torch.zeros(1, 1, 6), torch.ones(1, 1, 6)))
    expected = (1 / (1 + math.exp(-2.0))) ** 7
    torch.testing.assert_close(cell.detach().flatten(), torch.full((6,), expected))


def test_weights_gate_by_gate() -> None:
    model = initialize(nn.LSTM(40, 60), "lstm")
    for gate in model.weight_ih_l0.detach().chunk(4):
        bound = math.sqrt(6 / (40 + 60))
        assert 0.95 * bound < float(gate.abs().max()) <= bound
        assert float(gate.std()) == pytest.approx(bound / math.sqrt(3), rel=0.04)
    for gate in model.weight_hh_l0.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(60), atol=1e-5, rtol=0)


def test_the_listing_says_what_it_treats() -> None:
    table = describe(lstm(**SIZES), "lstm").set_index("parameter")
    assert table["scheme"]["recurrent.bias_ih_l0"] == "0, lstm"
    assert table["scheme"]["recurrent.bias_hh_l0"] == "0"
    assert table["scheme"]["recurrent.weight_hh_l0"] == "orthogonal"
    assert table["scheme"]["classifier.weight"] == "xavier_uniform"


def test_cells_keep_their_biases_by_the_same_rule() -> None:
    rules = [{"match": "LSTMCell", "recurrent_hidden": {"name": "orthogonal", "gain": 1.0}}]
    cell = initialize(nn.LSTMCell(3, 4), "lstm", rules=rules)
    assert (cell.bias_ih + cell.bias_hh).tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.Linear(3, 4), "lstm needs recurrent layers of type LSTM, and Linear has none"),
        (nn.GRU(3, 4), "lstm needs recurrent layers of type LSTM, and GRU has none"),
        (nn.Sequential(nn.LSTM(3, 4), nn.GRU(4, 4)), "1 is a GRU, which has no forget gate: lstm needs an LSTM"),
        (nn.LSTM(3, 4, bias=False), "LSTM was built with bias=False, and lstm sets biases"),
    ],
    ids=["linear", "gru", "both", "no biases"],
)
def test_models_without_a_forget_gate_or_its_bias_are_refused_before_anything_is_written(
    model: nn.Module, message: str
) -> None:
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=message):
        initialize(model, "lstm")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
