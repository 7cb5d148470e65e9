"""Sign flips at several looks: against the enumeration of all signs, and in simulated studies."""

import math
from itertools import product

import numpy as np
import pytest

from initbench.analysis.statistics.sequential_flips import SequentialFlips, sign_paths
from initbench.analysis.statistics.sign_flips import sign_flip


def crossings(values: np.ndarray, level: float, spending: np.ndarray, patterns: int = 2**13) -> list[int | None]:
    """For each column of values (seeds, comparisons), the look at which it is shown to be above 0."""
    test = SequentialFlips(level, spending, values.shape[1], patterns)
    shown = np.array([test.look(row)[0] for row in values])
    return [int(column.argmax()) + 1 if column.any() else None for column in shown.T]


@pytest.mark.parametrize("level", [0.02, 0.05, 0.25])
def test_of_all_signs_no_larger_share_crosses_than_is_spent(level: float) -> None:
    """Ten seeds, whose 1,024 choices of signs are all tried as the observed one; no bound wastes a whole path."""
    sizes = np.random.default_rng(0).gamma(1.0, size=10)
    spending = np.arange(1, 11) / 10
    signs = np.array(list(product([1.0, -1.0], repeat=10))).T
    looks = crossings(sizes[:, None] * signs, level, spending, patterns=2**9)
    for seeds in range(1, 11):
        crossed = sum(look is not None and look <= seeds for look in looks)
        allowed = level * spending[seeds - 1] * 1024
        assert crossed <= allowed
        assert crossed > allowed - 2 ** (10 - seeds)  # paths are alike in their later signs


def test_one_look_is_the_one_sided_sign_flip_test() -> None:
    """All of the level is spent at the last look."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.4, 1.0, size=(9, 300))
    looks = crossings(values, 0.05, np.array([0.0] * 8 + [1.0]))
    assert [look is not None for look in looks] == (sign_flip(values, "greater") <= 0.05).tolist()


@pytest.mark.parametrize("kind", ["normal", "heavy", "few values"])
@pytest.mark.parametrize("patterns", [2**6, 2**9])
def test_its_level_holds_over_all_looks(kind: str, patterns: int) -> None:
    """Thirty looks at 2,000 comparisons without a difference: also with so few patterns that later signs are random."""
    rng = np.random.default_rng(2)
    values = {
        "normal": rng.normal(size=(30, 2000)),
        "heavy": rng.standard_cauchy(size=(30, 2000)),
        "few values": rng.integers(-1, 2, size=(30, 2000)).astype(float),
    }[kind]
    test = SequentialFlips(0.05, np.arange(1, 31) / 30, 2000, patterns)
    for row in values:
        above, below = test.look(row)
    error = 3 * math.sqrt(0.05 * 0.95 / 2000)
    for side in (above, below):
        assert 0.02 < side.mean() < 0.05 + error


def test_what_has_no_sign_never_crosses() -> None:
    assert crossings(np.zeros((12, 1)), 0.5, np.ones(12)) == [None]


def test_equal_sums_cross_together_or_not_at_all() -> None:
    """1/10 three times is not 3/10 in floating point; a path that is as high as the observed one counts as such."""
    values = np.array([[0.1], [0.2], [0.3], [0.1], [0.2], [0.3]])
    for level in (1 / 64, 0.9 / 64):
        found = crossings(values, level, np.ones(6), patterns=2**5)
        assert found == [6 if level == 1 / 64 else None]


def test_comparisons_do_not_depend_on_each_other() -> None:
    values = np.random.default_rng(3).normal(0.5, 1.0, size=(20, 5))
    spending = np.arange(1, 21) / 20
    alone = [crossings(values[:, [at]], 0.05, spending)[0] for at in range(5)]
    assert crossings(values, 0.05, spending) == alone
    test = SequentialFlips(0.05, spending, 5)
    shown = [test.look(row)[0] for row in values[:10]]
    keep = np.array([True, False, True, False, True])
    test.keep(keep)
    shown = [of[keep] for of in shown] + [test.look(row[keep])[0] for row in values[10:]]
    found = [int(of.argmax()) + 1 if of.any() else None for of in np.array(shown).T]
    assert found == [alone[0], alone[2], alone[4]]


def test_a_sum_of_the_other_sign_is_shown_to_be_below_zero_at_the_same_look() -> None:
    values = np.random.default_rng(4).normal(0.8, 1.0, size=(20, 3))
    test, mirrored = (SequentialFlips(0.05, np.arange(1, 21) / 20, 3) for _ in range(2))
    for row in values:
        above, below = test.look(row)
        of_mirror = mirrored.look(-row)
        assert (above == of_mirror[1]).all()
        assert (below == of_mirror[0]).all()
    assert above.any()


def test_the_first_seeds_have_all_patterns_equally_often() -> None:
    signs = sign_paths(12, 2**6).T
    assert signs.shape == (2**7, 12)
    assert (signs[0] == 1).all()
    assert (signs[2**6 :] == -signs[: 2**6]).all()
    _, counts = np.unique(signs[:, :5], axis=0, return_counts=True)
    assert counts.tolist() == [4] * 32
