"""What an author wrote and did not get."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from initbench.auditing.intentions import idle_cuts, overwritten, skipped
from initbench.auditing.subject import Subject


def truncated(**bounds: float) -> nn.Module:
    layer = nn.Linear(8, 8)
    nn.init.trunc_normal_(layer.weight, std=0.02, **bounds)
    return layer


def test_bounds_of_a_hundred_standard_deviations_cut_nothing() -> None:
    """As in torchtitan, whose std of 0.02 meets torch's default bounds of 2."""
    (found,) = idle_cuts(Subject(truncated))
    assert found.parameter == "weight"
    assert "cut at -2 and 2, 100 standard deviations away" in found.reason
    assert "a=-0.06, b=0.06" in found.remedy


def test_bounds_that_cut_are_left_alone() -> None:
    assert list(idle_cuts(Subject(lambda: truncated(a=-0.06, b=0.06)))) == []
    assert list(idle_cuts(Subject(lambda: nn.Linear(8, 8)))) == []


def test_bounds_are_measured_from_the_mean() -> None:
    layer = nn.Linear(8, 8)
    (found,) = idle_cuts(Subject(lambda: _around(layer, mean=1.0, a=0.0, b=2.0)))
    assert "50 standard deviations away" in found.reason
    assert "a=0.94, b=1.06" in found.remedy
    assert list(idle_cuts(Subject(lambda: _around(layer, mean=2.0, a=0.0, b=2.0)))) == []


def _around(layer: nn.Linear, **arguments: float) -> nn.Module:
    nn.init.trunc_normal_(layer.weight, std=0.02, **arguments)
    return layer


def test_timms_own_function_is_seen_too() -> None:
    layers = pytest.importorskip("timm.layers", reason="needs the extra `timm`")

    def make() -> nn.Module:
        layer = nn.Linear(8, 8)
        layers.trunc_normal_(layer.weight, std=0.02)
        return layer

    assert [finding.parameter for finding in idle_cuts(Subject(make))] == ["weight"]


class Expert(nn.Module):
    """It has a method of its own for its weights, as torch's layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8, 8))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.3)


class Model(nn.Module):
    """Its own rule reaches into its parts, as GPT's `apply(self._init_weights)` does."""

    def __init__(self, *, reaches: bool) -> None:
        super().__init__()
        self.expert, self.head = Expert(), nn.Linear(8, 8)
        if reaches:
            self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if hasattr(module, "weight"):
            nn.init.normal_(module.weight, std=0.02)


class Forgets(nn.Module):
    """Its rule knows linear layers and no embedding, which stays at torch's N(0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)


def test_what_a_rule_forgets_is_found() -> None:
    (found,) = skipped(Subject(Forgets))
    assert found.parameter == "embedding.weight"
    assert found.reason == "it keeps torch's default, and Forgets._init_weights draws most of the others"


def test_a_model_that_leaves_all_to_torch_forgets_nothing() -> None:
    assert list(skipped(Subject(lambda: nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 8))))) == []


def test_what_a_parent_draws_again_is_found() -> None:
    """Not that of torch's layer, which everybody means to replace."""
    (found,) = overwritten(Subject(lambda: Model(reaches=True)))
    assert found.parameter == "expert.weight"
    assert found.reason == "Expert.reset_parameters draws it, and Model._init_weights draws it again"
    assert list(overwritten(Subject(lambda: Model(reaches=False)))) == []


class StartsClosed(nn.Module):
    """It sets its last layer to zero, and whoever contains it draws that layer again."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(8, 8)
        nn.init.zeros_(self.out.weight)


class Draws(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


def test_zeros_that_a_parent_draws_over_are_found() -> None:
    (found,) = overwritten(Subject(lambda: Draws(StartsClosed())))
    assert found.parameter == "part.out.weight"
    assert found.reason == "StartsClosed.__init__ sets it to a constant, and Draws._init_weights draws it again"
    assert list(overwritten(Subject(lambda: Draws(nn.Linear(8, 8))))) == []


class Replaces(nn.Module):
    """A part draws its weight anew, as that of Mamba does after the model has drawn all."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Expert()
        nn.init.normal_(self.part.weight, std=0.02)
        self.part.reset_parameters()


def test_a_part_that_has_the_last_word_is_right() -> None:
    assert list(overwritten(Subject(Replaces))) == []


class Untouched(Forgets):
    """The rule skips a linear layer; what is done to the embedding is no default."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.head = nn.Linear(8, 8)
        change(self.embedding.weight.data)


@pytest.mark.parametrize(
    "change",
    [
        lambda weight: weight.copy_(torch.ones(10, 8)),
        lambda weight: weight.mul_(0.05),
        nn.init.zeros_,
        nn.init.orthogonal_,
    ],
)
def test_what_torchs_layers_draw_is_seen_and_what_replaces_it(change: Callable[[Tensor], object]) -> None:
    assert [found.parameter for found in skipped(Subject(lambda: Untouched(change)))] == ["head.weight"]


def test_a_rule_without_bounds_can_be_called_trunc_normal() -> None:
    def my_trunc_normal_(tensor: Tensor, mean: float = 0, std: float = 0.02, a: None = None, b: None = None) -> None:
        with torch.no_grad():
            tensor.normal_(mean, std)

    def make() -> nn.Module:
        layer = nn.Linear(8, 8)
        my_trunc_normal_(layer.weight)
        return layer

    assert list(idle_cuts(Subject(make))) == []
