"""What two initializations are compared by."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from initbench.auditing.looks import Look, looks, plain


def drawn(fill: Callable[[Tensor], Tensor], numel: int = 5000) -> Look:
    layer = nn.Linear(1, 1)
    layer.weight = nn.Parameter(fill(torch.empty(numel // 10, 10)))
    return looks(layer)["weight"]


@pytest.mark.parametrize(
    "fill, kind, rms",
    [
        (nn.init.normal_, "normal", 1.0),
        (lambda x: nn.init.trunc_normal_(x, a=-2, b=2), "normal", 0.8796),
        (lambda x: nn.init.uniform_(x, -1, 1), "uniform", 3**-0.5),
        (nn.init.xavier_uniform_, "uniform", (2 / 510) ** 0.5),
        (lambda x: nn.init.constant_(x, -0.3), "constant", 0.3),
    ],
)
def test_kind_and_size(fill: Callable[[Tensor], Tensor], kind: str, rms: float) -> None:
    look = drawn(fill)
    assert (look.kind, look.numel) == (kind, 5000)
    assert look.rms == pytest.approx(rms, rel=0.04)


@pytest.mark.parametrize(
    "one, other, is_like",
    [
        (Look(1.0, "constant", 5), Look(1.04, "constant", 5), True),
        (Look(1.0, "constant", 5), Look(1.07, "constant", 5), False),
        (Look(0.0, "constant", 5), Look(1e-13, "constant", 5), True),
        (Look(0.0, "constant", 5), Look(1e-9, "constant", 5), False),
        (Look(0.02, "normal", 100), Look(0.024, "normal", 100), True),  # by chance: 1 / sqrt(2 n) is 7 %
        (Look(0.02, "normal", 100), Look(0.03, "normal", 100), False),
        (Look(0.02, "normal", 10**6), Look(0.0208, "normal", 10**6), True),
        (Look(0.02, "normal", 10**6), Look(0.0215, "normal", 10**6), False),
        (Look(0.02, "normal", 900), Look(0.02, "uniform", 900), True),  # too few to tell
        (Look(0.02, "normal", 1100), Look(0.02, "uniform", 1100), False),
    ],
)
def test_what_may_be_the_same_distribution(one: Look, other: Look, is_like: bool) -> None:
    assert one.is_like(other) == is_like


def test_single_numbers_have_no_look_and_complex_ones_two_parts() -> None:
    layer = nn.Linear(3, 1)
    layer.scale = nn.Parameter(torch.ones(()))
    layer.spectrum = nn.Parameter(torch.tensor([3 + 4j, 3 + 4j]))
    found = looks(layer)
    assert {*found} == {"weight", "spectrum"}
    assert plain(layer.spectrum).flatten().tolist() == [3, 4, 3, 4]
    assert found["spectrum"].rms == pytest.approx(12.5**0.5)
