"""An embedding and a head that share their weight."""

from torch import nn

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
