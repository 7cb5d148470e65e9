"""Parameters that can never learn, told from those that only start late."""

import pytest
import torch
from torch import Tensor, nn

from initbench.auditing.paths import not_run, unreached
from initbench.auditing.subject import Subject


class Adapted(nn.Module):
    """A layer with a low-rank addition b(a(x)), as LoRA's."""

    def __init__(self, *, a: float, b: float) -> None:
        super().__init__()
        self.layer, self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
        self.spare = nn.Parameter(torch.ones(3))
        nn.init.normal_(self.a.weight, std=a)
        nn.init.normal_(self.b.weight, std=b)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layer(inputs) + self.b(self.a(inputs))}


@pytest.mark.parametrize("a, b, stuck", [(0, 0, {"a.weight", "b.weight"}), (1, 0, set()), (0, 1, set())])
def test_two_zeros_in_series_are_stuck_and_one_is_not(a: float, b: float, stuck: set[str]) -> None:
    found = list(unreached(Subject(Adapted(a=a, b=b))))
    assert {finding.parameter for finding in found if finding.severity == "warning"} == stuck
    assert [finding.parameter for finding in found if finding.check == "unused"] == ["spare"]


def test_a_norm_and_a_softmax_at_the_end_pass_gradients() -> None:
    for last in (nn.LayerNorm(8), nn.Softmax(-1)):
        assert list(unreached(Subject(nn.Sequential(nn.Linear(8, 8), last)))) == []


def test_the_model_stays_as_it_is() -> None:
    model = Adapted(a=1, b=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(unreached(Subject(model)))
    assert all(before[name].equal(tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_that_cannot_be_computed_is_said() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs = self.layer(inputs)
            squares = outputs * outputs
            outputs.add_(1)
            return squares

    (found,) = unreached(Subject(InPlace()))
    assert (found.severity, found.check) == ("note", "not run")
    assert "modified by an inplace operation" in found.reason


def test_batch_norm_over_a_single_position_passes_gradients() -> None:
    """As the last stage of a network for large images does with small ones."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    assert list(unreached(Subject(model, torch.randn(2, 3, 1, 1)))) == []


class Deep(nn.Module):
    """Behind a head of zeros, a gate of zero: the head moves first, then the gate, and the layer third."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.gate = nn.Linear(8, 8), nn.Parameter(torch.zeros(()))
        self.head = nn.Linear(8, 4)
        nn.init.zeros_(self.head.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(inputs + self.gate * self.layer(inputs))
        return logits


def test_a_gate_behind_a_head_of_zeros_starts_late_and_is_not_stuck() -> None:
    assert list(unreached(Subject(Deep()))) == []


class Returns(nn.Module):
    """Two heads, of which it returns both in some container; it takes inputs of seven features."""

    def __init__(self, wrap: type) -> None:
        super().__init__()
        self.one, self.other, self.wrap = nn.Linear(7, 4), nn.Linear(7, 4), wrap
        self.spare = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor, scale: Tensor) -> object:
        assert inputs.shape == (2, 7)
        assert scale.dim() == 0
        return self.wrap([self.one(inputs), self.other(inputs), inputs.argmax(-1)])


@pytest.mark.parametrize("wrap", [tuple, list, lambda some: {"some": some}])
def test_every_output_counts(wrap: type) -> None:
    class Takes(Returns):
        def forward(self, inputs: Tensor) -> object:
            return super().forward(inputs, inputs.sum())

    found = list(unreached(Subject(Takes(wrap), torch.randn(5, 7))))
    assert [(finding.check, finding.parameter) for finding in found] == [("unused", "spare")]


def test_a_model_whose_inputs_are_not_known_is_not_run_and_that_is_said() -> None:
    subject = Subject(Returns(tuple))
    assert list(unreached(subject)) == []
    (found,) = not_run(subject)
    assert (found.severity, found.check) == ("note", "not run")
    assert "it cannot be run" in found.reason
    assert list(not_run(Subject(nn.Linear(3, 3)))) == []


def test_inputs_that_are_given_are_those_that_it_is_run_on() -> None:
    class Wants(Returns):
        def forward(self, inputs: Tensor) -> object:
            assert inputs.shape[1:] == (3, 5, 7)
            return self.one(inputs)

    model = Wants(tuple)
    assert list(unreached(Subject(model))) == []
    batch = torch.randn(4, 3, 5, 7)
    assert {found.parameter for found in unreached(Subject(model, batch))} == {"other.weight", "other.bias", "spare"}
    assert list(not_run(Subject(model, batch))) == []


def test_of_outputs_without_gradients_nothing_is_said() -> None:
    class Detached(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs).detach()

    assert list(unreached(Subject(Detached(8, 8)))) == []
