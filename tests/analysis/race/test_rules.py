"""The rules of a race: levels and numbers of seeds, by hand."""

import math

import pytest

from initbench.analysis.race.rules import Rules


@pytest.mark.parametrize(
    "inits, strict, each",
    [(2, False, 0.025), (3, False, 0.025), (5, False, 0.0125), (2, True, 0.025), (5, True, 0.0025)],
)
def test_the_level_is_divided_by_the_rivals_or_by_all_ordered_pairs(inits: int, strict: bool, each: float) -> None:
    assert Rules(inits, strict=strict).level_of_each == pytest.approx(each)


@pytest.mark.parametrize("inits, seeds", [(2, 5), (4, 5), (5, 5), (6, 6), (8, 6), (16, 6), (40, 7)])
def test_every_run_worse_takes_so_many_seeds(inits: int, seeds: int) -> None:
    """1 / C(10, 5) = .00397 is at most a third of .05 / 4, and more than a third of .05 / 5."""
    rules = Rules(inits)
    assert rules.apart_after == seeds
    chance = 1 / math.comb(2 * seeds, seeds)
    assert chance <= rules.level_of_each / 3 < 1 / math.comb(2 * seeds - 2, seeds - 1)
    assert rules.level_of_flips == pytest.approx(rules.level_of_each - chance)


def test_nothing_can_be_decided_before_the_first_look() -> None:
    rules = Rules(4)
    assert rules.first_look == 5
    assert Rules(4, level=0.5).first_look == 3  # 1 / C(6, 3) = 1 / 20 is at most a third of .5 / 3
    assert Rules(2, most_seeds=3).first_look > 3


def test_spending_is_in_proportion_to_the_seeds() -> None:
    assert Rules(2, most_seeds=4).spending.tolist() == [0.25, 0.5, 0.75, 1.0]
