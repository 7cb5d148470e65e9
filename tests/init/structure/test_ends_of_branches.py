"""Where branches begin and end, and which streams, layers, norms and multipliers belong to them."""

from typing import Any

import pytest
import torch
from running import Learned, ReZero
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.structure.parts import find_branches

X = torch.linspace(-1, 1, 80).view(2, 5, 8)


def test_positions_that_are_added_again_and_again_are_no_skip_connection() -> None:
    assert find_branches(Learned(lambda m, x: m.second(m.first(x + m.own) + m.own), 5, 8), X) == []
    scaled = Learned(lambda m, x: m.second(m.first(x + 2 * m.own) + 2 * m.own), 5, 8)
    assert find_branches(scaled, X) == []


@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: m.first(x * m.own[0]) + m.own[0],
        lambda m, x: m.first(x * m.vector) + m.vector,
        lambda m, x: F.linear(x, m.second.weight) + m.second.weight.mean(0),
        lambda m, x: m.second(m.first(x + (m.own + m.more)) + m.own),
    ],
    ids=["a row of a parameter", "a vector", "a weight", "a part of a sum"],
)
def test_what_is_added_and_is_no_token_makes_no_branch(use: Any) -> None:
    model = Learned(use, 5, 8)
    model.more, model.vector = nn.Parameter(torch.ones(5, 8)), nn.Parameter(torch.ones(8))
    assert find_branches(model, X) == []


@pytest.mark.parametrize("shape", [(), (1,), (8,)])
def test_a_multiplier_is_a_buffer_of_one_number(shape: tuple[int, ...]) -> None:
    model = Learned(lambda m, x: x + m.constant * m.first(x), 8)
    model.register_buffer("constant", torch.ones(shape))
    (branch,) = find_branches(model, X)
    assert branch.gate is None
    assert branch.multiplier is (None if shape == (8,) else model.constant)


def test_a_block_counts_each_time_that_it_adds_to_the_same_features() -> None:
    block = ReZero()
    assert [branch.runs for branch in find_branches(nn.Sequential(block, block, block), X)] == [3]

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = ReZero()

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.block(torch.tanh(x)), self.block(torch.relu(x))], -1)

    assert [branch.runs for branch in find_branches(Siamese(), X)] == [1]


class Two(nn.Module):
    """Two streams side by side, of attention and MLP blocks or of MLPs alone; then one block for both."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.other, self.more = ReZero(), ReZero()
        self.join = nn.Linear(16, 8)
        self.last = ReZero()

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.one(torch.tanh(x)), self.more(self.other(torch.relu(x)))
        return self.last(self.join(torch.cat([one, other], -1)))


def test_streams_and_layers_are_counted_apart() -> None:
    branches = {branch.name: branch for branch in find_branches(Two(), X)}
    found = {name: (branch.stream, branch.depth) for name, branch in branches.items()}
    assert (found["one.self_attn"][1], found["one"][1]) == (0, 0)
    assert (found["other.f"][1], found["more.f"][1]) == (0, 1)
    assert found["other.f"][0] == found["more.f"][0] != found["one"][0]
    assert found["last.f"] == (found["other.f"][0], 2)


def test_branches_beside_each_other_are_in_one_layer_of_one_stream() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.mix = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
            self.feed = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))

        def forward(self, x: Tensor) -> Tensor:
            h = self.norm(x)
            return x + self.mix(h, h, h, need_weights=False)[0] + self.feed(h)

    found = find_branches(nn.Sequential(Beside(), Beside()), X)
    assert [(branch.stream, branch.depth) for branch in found] == [(0, 0), (0, 0), (0, 1), (0, 1)]
    assert [branch.kind for branch in found] == ["attention", "mlp"] * 2


def test_of_several_norms_at_the_end_the_last_ends_the_branch() -> None:
    class Ends(nn.Module):
        def __init__(self, parallel: bool) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(8, 4), nn.Linear(8, 4)
            self.first, self.second = nn.LayerNorm(4), nn.LayerNorm(4) if parallel else nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.cat([self.first(self.one(x)), self.second(self.other(x))], -1)

    (both,) = find_branches(Ends(parallel=True), X)
    assert both.last_norm is not None
    assert (both.last_norm[0], [name for name, _ in both.last_norms]) == ("second", ["first", "second"])
    (half,) = find_branches(Ends(parallel=False), X)
    assert (half.last_norm, half.last_norms) == (None, [])
    assert [name for name, _ in half.ends] == ["first", "other"]


def test_of_two_paths_with_layers_the_skip_connection_has_one_at_most() -> None:
    def paths(short: int) -> Any:
        def forward(m: Learned, x: Tensor) -> Tensor:
            y = x
            for layer in m.more[:short]:
                y = layer(y)
            return y + m.third(m.second(m.first(x)))

        return forward

    for short, number in ((1, 1), (2, 0)):
        model = Learned(paths(short), 8)
        model.more, model.third = nn.ModuleList(nn.Linear(8, 8) for _ in range(2)), nn.Linear(8, 8)
        assert len(find_branches(model, X)) == number


def test_what_a_layer_makes_of_constants_does_not_end_a_branch() -> None:
    (branch,) = find_branches(Learned(lambda m, x: x + (m.first(x) + m.second(m.own)), 8), X)
    assert [name for name, _ in branch.last_layers] == ["first"]


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_layers_of_a_branch_come_by_their_first_run(names: tuple[str, str]) -> None:
    """Though the first runs once more at the end."""

    def branch(m: Learned, x: Tensor) -> Tensor:
        one, other = (getattr(m, name) for name in names)
        return x + one(other(one(x)).relu())

    (found,) = find_branches(Learned(branch, 8), X)
    assert [name for name, _ in found.weighted] == list(names)
