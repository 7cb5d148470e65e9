"""What a sweep over values may be: at least one, and no more than anybody runs."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from initbench.errors import UserMistake
from initbench.sweep.start import check_values


def check(*lines: str) -> None:
    check_values(OverridesParser.create().parse_overrides([*lines]))


def test_a_hundred_thousand_values_are_not_too_many() -> None:
    check("seed=range(100000)", "init=orthogonal,zeros", "model=mlp", "optimizer.lr=0.1")
    with pytest.raises(UserMistake, match=r"^seed=range\(100001\) has more than 100,000 values$"):
        check("init=orthogonal,zeros", "seed=range(100001)")


@pytest.mark.parametrize("line", ["seed=range(0)", "seed=range(3,3)", "seed=range(1,5,0)", "seed=interval(0,3)"])
@pytest.mark.parametrize("before", [[], ["model=mlp"], ["init=orthogonal,zeros"]])
def test_no_values_are_a_mistake_wherever_they_stand(line: str, before: list[str]) -> None:
    with pytest.raises(UserMistake):
        check(*before, line)
