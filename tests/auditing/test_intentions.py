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


def filled_by(function: Callable[[Tensor], None]) -> Subject:
    def make() -> nn.Module:
        layer = nn.Linear(8, 8)
        function(layer.weight)
        return layer

    return Subject(make)


def test_a_rule_without_bounds_can_be_called_trunc_normal() -> None:
    def my_trunc_normal_(tensor: Tensor, mean: float = 0, std: float = 0.02, a: None = None, b: None = None) -> None:
        with torch.no_grad():
            tensor.normal_(mean, std)

    assert list(idle_cuts(filled_by(my_trunc_normal_))) == []


def test_the_last_draw_counts_and_the_nearer_bound() -> None:
    def twice() -> nn.Module:
        layer = truncated()
        nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
        return layer

    assert list(idle_cuts(Subject(twice))) == []
    assert list(idle_cuts(Subject(lambda: truncated(b=0.04)))) == []


def test_a_cut_of_a_normal_distribution_without_spread_is_left_alone() -> None:
    def my_trunc_normal_(tensor: Tensor, mean: float = 0, std: float = 0.0, a: float = -2, b: float = 2) -> None:
        with torch.no_grad():
            tensor.normal_(mean, std)

    assert list(idle_cuts(filled_by(my_trunc_normal_))) == []


class Several(nn.Module):
    """So many layers are drawn by one rule, by another, and by none."""

    def __init__(self, one: int, other: int, none: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(one + other + none))
        self.one(self.layers[:one])
        self.other(self.layers[one : one + other])

    def one(self, layers: nn.ModuleList) -> None:
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.02)

    def other(self, layers: nn.ModuleList) -> None:
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.03)


@pytest.mark.parametrize(
    "sizes, number, rule",
    [
        ((3, 1, 1), 1, "one"),
        ((1, 3, 1), 1, "other"),
        ((2, 3, 4), 4, "other"),
        ((2, 0, 2), 0, ""),
        ((3, 0, 2), 2, "one"),
        ((1, 0, 3), 0, ""),
    ],
)
def test_most_are_drawn_by_the_rule_that_is_named(sizes: tuple[int, int, int], number: int, rule: str) -> None:
    found = list(skipped(Subject(lambda: Several(*sizes))))
    last = sum(sizes)
    assert [each.parameter for each in found] == [f"layers.{place}.weight" for place in range(last - number, last)]
    assert all(f"and Several.{rule} draws most of the others" in each.reason for each in found)


class Skips(Forgets):
    """Its rule knows neither embeddings nor attentions."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.attention = nn.MultiheadAttention(8, 2)
        self.apply(self._init_weights)
        self.embedding.weight.requires_grad_()


def test_an_attention_is_skipped_too_and_a_flag_is_no_draw() -> None:
    found = [each.parameter for each in skipped(Subject(Skips))]
    assert found == ["embedding.weight", "attention.in_proj_weight"]


def draw_(weight: Tensor) -> None:
    nn.init.normal_(weight, std=0.02)


def by_hand(model: nn.Module) -> None:
    for layer in model[1:]:
        draw_(layer.weight)


def test_a_function_that_draws_for_others_is_named_and_not_its_helper() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 8), nn.Linear(8, 8))
        by_hand(model)
        return model

    (found,) = skipped(Subject(make))
    assert "and by_hand draws most of the others" in found.reason


class Starts(nn.Module):
    """A part that writes its weight in a method of its own, or as it is made."""

    def __init__(self, write: Callable[[Tensor], object] | None, *, in_init: bool = False) -> None:
        super().__init__()
        self.write = write
        self.out = nn.Linear(8, 8)
        if in_init and write is not None:
            write(self.out.weight)
        elif write is not None:
            self.begin()
        else:
            self.again()

    def begin(self) -> None:
        self.write(self.out.weight)

    def again(self) -> None:
        self.out = nn.Linear(8, 8)


CONSTANT, DRAWN, NOTHING = "sets it to a constant", "draws it", ""


@pytest.mark.parametrize(
    "write, in_init, did",
    [
        (nn.init.zeros_, True, CONSTANT),
        (nn.init.ones_, False, CONSTANT),
        (lambda weight: nn.init.constant_(weight, 0.5), False, CONSTANT),
        (nn.init.eye_, False, CONSTANT),
        (nn.init.normal_, False, DRAWN),
        (nn.init.kaiming_uniform_, False, DRAWN),
        (nn.init.normal_, True, NOTHING),  # a placeholder
        (None, False, NOTHING),  # torch's own
    ],
)
@pytest.mark.parametrize("wrap", [lambda part: part, nn.Sequential], ids=["a child", "a grandchild"])
def test_what_a_part_means_is_a_constant_or_a_draw_in_a_method(
    write: Callable[[Tensor], object] | None, in_init: bool, did: str, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    found = list(overwritten(Subject(lambda: Draws(wrap(Starts(write, in_init=in_init))))))
    assert len(found) == bool(did)
    name = "__init__" if in_init else "begin"
    assert all(each.reason.startswith(f"Starts.{name} {did}, and Draws._init_weights draws") for each in found)


class Random(nn.Module):
    """Its weight is made of random numbers by a method."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def begin(self) -> None:
        self.weight = nn.Parameter(torch.randn(8, 8))


class Own(nn.Module):
    """It draws its own weight twice."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8, 8))
        self.begin()
        self.begin()

    def begin(self) -> None:
        nn.init.normal_(self.weight)


def test_random_numbers_that_a_method_makes_are_a_draw() -> None:
    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Random()
            self.again()

        def again(self) -> None:
            nn.init.normal_(self.part.weight)

    (found,) = overwritten(Subject(Takes))
    assert found.reason == "Random.begin draws it, and Takes.again draws it again"


def test_a_module_or_a_function_may_change_its_own_mind() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(8, 8)
        nn.init.zeros_(layer.weight)
        nn.init.normal_(layer.weight)
        return layer

    assert list(overwritten(Subject(make))) == list(overwritten(Subject(Own))) == []
