"""IRNN: a network that starts by keeping its state."""

import pytest
import torch
from torch import nn

from initbench.init import initialize
from initbench.model.recurrent import gru, lstm, rnn

SIZES = {"in_channels": 1, "image_size": 8, "num_classes": 10, "hidden_size": 100}


def test_identity_zero_biases_and_small_other_weights() -> None:
    model = initialize(rnn(**SIZES, num_layers=2, nonlinearity="relu"), "irnn", seed=0)
    for layer in ("l0", "l1"):
        assert torch.equal(model.get_parameter(f"recurrent.weight_hh_{layer}"), torch.eye(100))
        assert not model.get_parameter(f"recurrent.bias_ih_{layer}").any()
        assert not model.get_parameter(f"recurrent.bias_hh_{layer}").any()
    others = (model.recurrent.weight_ih_l0, model.recurrent.weight_ih_l1, model.classifier.weight)
    for weight in others:
        assert weight.std().item() == pytest.approx(1e-3, rel=0.1)
        assert abs(weight.mean().item()) < 2e-4


def test_without_input_the_state_and_its_gradient_stay_for_ever() -> None:
    model = initialize(nn.RNN(3, 20, nonlinearity="relu"), "irnn")
    start = torch.rand(1, 4, 20, generator=torch.Generator().manual_seed(0)).requires_grad_()
    states, end = model(torch.zeros(300, 4, 3), start)
    assert torch.equal(end, start)
    assert torch.equal(states, start.expand(300, 4, 20))
    end.sum().backward()
    assert torch.equal(start.grad, torch.ones(1, 4, 20))


def test_at_first_it_adds_up_its_inputs() -> None:
    """While no sum turns negative, h_t = W_in (x_1 + ... + x_t)."""
    model = initialize(nn.RNN(1, 20, nonlinearity="relu"), "irnn")
    inputs = torch.rand(50, 1, 1, generator=torch.Generator().manual_seed(0))
    states, _ = model(inputs)
    expected = (model.weight_ih_l0 @ inputs.sum(0)).clamp(min=0).flatten()
    torch.testing.assert_close(states[-1].flatten(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("build", [lstm, gru])
def test_gates_are_not_made_the_identity(build) -> None:
    with pytest.raises(ValueError, match="irnn needs recurrent layers of type RNN"):
        initialize(build(**SIZES), "irnn")


def test_models_that_are_not_recurrent_are_refused() -> None:
    with pytest.raises(ValueError, match="irnn needs recurrent layers of type RNN, and Linear has none"):
        initialize(nn.Linear(3, 4), "irnn")
