"""An embedding and a head that share their weight."""

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from initbench.auditing.subject import Subject
from initbench.auditing.tied import drawn_by_two_rules


class Tied(nn.Module):
    """Its rule draws embeddings and linear layers; the head's is the last word."""

    def __init__(self, head_std: float) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(10, 8), nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight
        self.head_std = head_std
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.head_std)


def test_two_rules_for_one_tensor_are_found() -> None:
    (found,) = drawn_by_two_rules(Subject(lambda: Tied(0.5)))
    assert found.parameter == "embedding.weight"
    assert found.reason == (
        "embedding.weight and head.weight are one tensor, which Tied._init_weights draws by normal_(0, 0.02) and "
        "Tied._init_weights again by normal_(0, 0.5)"
    )


def test_twice_by_the_same_rule_is_one_rule() -> None:
    assert list(drawn_by_two_rules(Subject(lambda: Tied(0.02)))) == []


def test_torchs_own_draw_before_is_none() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10, bias=False))
        model[1].weight = model[0].weight
        nn.init.normal_(model[0].weight, std=0.02)  # type: ignore[arg-type]  # an embedding's
        return model

    assert list(drawn_by_two_rules(Subject(make))) == []


def test_a_layer_that_is_not_shared_may_be_drawn_twice() -> None:
    def make() -> nn.Module:
        layer = nn.Linear(8, 10)
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.normal_(layer.weight, std=0.5)
        return layer

    assert list(drawn_by_two_rules(Subject(make))) == []


def cut(std: float) -> Callable[[Tensor], object]:
    return lambda weight: nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


@pytest.mark.parametrize(
    "one, other, words",
    [
        (lambda w: nn.init.normal_(w, 0, 1), lambda w: nn.init.uniform_(w, 0, 1), ["normal_(0, 1)", "uniform_(0, 1)"]),
        (cut(0.02), cut(0.04), ["std=0.02, a=-0.04, b=0.04)", "std=0.04, a=-0.08, b=0.08)"]),
        (cut(0.02), cut(0.02), []),
    ],
)
def test_another_distribution_and_another_cut_are_another_rule(
    one: Callable[[Tensor], object], other: Callable[[Tensor], object], words: list[str]
) -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10, bias=False))
        model[1].weight = model[0].weight
        one(model[0].weight)
        other(model[1].weight)
        return model

    found = list(drawn_by_two_rules(Subject(make)))
    assert len(found) == bool(words)
    assert all(word in each.reason for each in found for word in words)
