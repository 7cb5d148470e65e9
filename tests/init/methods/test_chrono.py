"""Chrono: which gates, what distribution, and what the network then remembers."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from initbench.init import describe, initialize
from initbench.model.recurrent import gru, lstm, rnn

SIZES = {"in_channels": 1, "image_size": 8, "num_classes": 10, "hidden_size": 16}


def gates(model: nn.Module, key: str, count: int) -> tuple[Tensor, ...]:
    return model.get_parameter(key).detach().chunk(count)


@pytest.mark.parametrize("suffix", ["_l0", "_l0_reverse", "_l1", "_l1_reverse"])
def test_lstm(suffix: str) -> None:
    model = initialize(nn.LSTM(5, 64, num_layers=2, bidirectional=True), "chrono", seed=1, t_max=100)
    inputs, forget, cell, output = gates(model, f"bias_ih{suffix}", 4)
    assert torch.equal(inputs, -forget)
    assert forget.min() > 0
    assert forget.max() < math.log(99)
    assert forget.std() > 0.3
    assert not cell.any()
    assert not output.any()
    assert not model.get_parameter(f"bias_hh{suffix}").any()


def test_each_layer_and_direction_has_draws_of_its_own() -> None:
    model = initialize(nn.LSTM(5, 8, num_layers=2, bidirectional=True), "chrono", seed=1)
    drawn = [gates(model, f"bias_ih_l{layer}", 4)[1] for layer in ("0", "0_reverse", "1", "1_reverse")]
    assert len({tuple(bias.tolist()) for bias in drawn}) == 4
    again = initialize(nn.LSTM(5, 8, num_layers=2, bidirectional=True), "chrono", seed=1)
    assert torch.equal(gates(again, "bias_ih_l1", 4)[1], drawn[2])
    other = initialize(nn.LSTM(5, 8), "chrono", seed=2)
    assert not torch.equal(gates(other, "bias_ih_l0", 4)[1], drawn[0])


@pytest.mark.parametrize("t_max", [28, 784])
def test_time_constants_are_uniform_from_2_to_t_max(t_max: int) -> None:
    """1 / (1 - sigmoid(log u)) = 1 + u with u ~ U(1, t_max - 1)."""
    model = initialize(nn.LSTM(2, 3000), "chrono", t_max=t_max)
    forget = gates(model, "bias_ih_l0", 4)[1].double()
    times = 1 / (1 - forget.sigmoid())
    assert times.min() > 2 - 1e-4
    assert times.max() < t_max + 1e-3
    assert stats.kstest(times, stats.uniform(2, t_max - 2).cdf).pvalue > 0.01


@pytest.mark.parametrize("cell, count, gate", [(nn.LSTMCell, 4, 1), (nn.GRUCell, 3, 1)])
def test_cells(cell: type[nn.Module], count: int, gate: int) -> None:
    model = initialize(nn.Sequential(cell(4, 64)), "chrono", t_max=50)
    biases = gates(model, "0.bias_ih", count)
    assert (biases[gate] > 0).all()
    assert not model.get_parameter("0.bias_hh").any()
    assert biases[gate].exp().mean().item() == pytest.approx(25, rel=0.2)


def test_gru_update_gate_keeps_the_state() -> None:
    """With zero weights torch's GRU is h' = z h, so a unit decays by sigmoid(b_z) at each step."""
    model = initialize(nn.GRU(3, 6), "chrono", weight=0, t_max=40)
    reset, update, new = gates(model, "bias_ih_l0", 3)
    assert not reset.any()
    assert not new.any()
    assert (update > 0).all()
    _, state = model(torch.zeros(5, 1, 3), torch.ones(1, 1, 6))
    torch.testing.assert_close(state.detach().flatten(), update.sigmoid() ** 5)


def test_lstm_forget_gate_keeps_the_cell() -> None:
    """With zero weights the cell's new content is tanh(0), so c decays by sigmoid(b_f) at each step."""
    model = initialize(nn.LSTM(3, 6), "chrono", weight=0, t_max=40)
    forget = gates(model, "bias_ih_l0", 4)[1]
    _, (_, cell) = model(torch.zeros(7, 1, 3), (torch.zeros(1, 1, 6), torch.ones(1, 1, 6)))
    torch.testing.assert_close(cell.detach().flatten(), forget.sigmoid() ** 7)


def test_other_biases_are_what_their_policy_says() -> None:
    model = initialize(lstm(**SIZES), "chrono", bias=0.5)
    inputs, forget, cell, output = gates(model, "recurrent.bias_ih_l0", 4)
    other = gates(model, "recurrent.bias_hh_l0", 4)
    assert torch.equal(inputs, -forget)
    assert all((bias == 0.5).all() for bias in (cell, output, other[2], other[3], model.classifier.bias))
    assert not other[0].any()
    assert not other[1].any()


def test_weights_are_xavier_gate_by_gate() -> None:
    model = initialize(lstm(**{**SIZES, "hidden_size": 64}), "chrono")
    for gate in gates(model, "recurrent.weight_hh_l0", 4):
        assert gate.abs().max() <= math.sqrt(6 / 128)
        assert gate.std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.05)


def test_the_listing_says_which_parameters_it_treated() -> None:
    treated = describe(lstm(**SIZES), "chrono").set_index("parameter")["scheme"]
    assert treated["recurrent.bias_ih_l0"] == "0, chrono"
    assert treated["classifier.bias"] == "0"


def test_the_shortest_t_max_makes_no_difference_between_units() -> None:
    assert not gates(initialize(nn.LSTM(2, 8), "chrono", t_max=2), "bias_ih_l0", 4)[1].any()


@pytest.mark.parametrize("t_max", [1.9, 0, -3])
def test_t_max_is_at_least_two_steps(t_max: float) -> None:
    with pytest.raises(ValueError, match="chrono needs a t_max of at least 2 steps"):
        initialize(lstm(**SIZES), "chrono", t_max=t_max)


def test_models_without_gates_or_biases_are_refused_before_anything_is_written() -> None:
    plain = rnn(**SIZES)
    before = plain.recurrent.weight_hh_l0.clone()
    with pytest.raises(ValueError, match="recurrent is a RNN, which has no gates: chrono needs an LSTM or a GRU"):
        initialize(plain, "chrono")
    assert torch.equal(plain.recurrent.weight_hh_l0, before)
    with pytest.raises(ValueError, match="RNNCell, which has no gates"):
        initialize(nn.RNNCell(3, 4), "chrono")
    with pytest.raises(ValueError, match="0 was built with bias=False"):
        initialize(nn.Sequential(nn.GRU(3, 4, bias=False)), "chrono")
    with pytest.raises(ValueError, match="chrono needs recurrent layers"):
        initialize(nn.Linear(3, 4), "chrono")


def test_gru_model_runs() -> None:
    model = initialize(gru(**SIZES, num_layers=2), "chrono", t_max=8)
    assert model(torch.ones(2, 1, 8, 8)).isfinite().all()


def test_two_networks_have_draws_of_their_own() -> None:
    one, other = initialize(nn.Sequential(nn.LSTM(5, 8), nn.LSTM(5, 8)), "chrono", seed=1)
    assert not torch.equal(gates(one, "bias_ih_l0", 4)[1], gates(other, "bias_ih_l0", 4)[1])


def test_a_cell_closes_its_input_gate_as_far_as_it_opens_the_forget_gate() -> None:
    inputs, forget, _, _ = gates(initialize(nn.LSTMCell(4, 16), "chrono"), "bias_ih", 4)
    assert forget.all()
    assert torch.equal(inputs, -forget)


@pytest.mark.parametrize("name", ["chrono", "lstm"])
def test_in_every_layer_and_direction_the_second_bias_of_a_gate_that_is_set_is_zero(name: str) -> None:
    model = initialize(nn.LSTM(5, 6, num_layers=2, bidirectional=True), name, bias=0.5)
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        inputs, forget, cell, output = gates(model, f"bias_hh{suffix}", 4)
        assert not forget.any()
        assert (inputs == (0.0 if name == "chrono" else 0.5)).all()
        assert (torch.cat([cell, output]) == 0.5).all()


def test_an_endless_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="t_max"):
        initialize(lstm(**SIZES), "chrono", t_max=math.inf)
