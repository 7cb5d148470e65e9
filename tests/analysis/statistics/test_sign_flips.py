"""Sign flips against Fisher, SciPy and hand computations."""

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats

from initbench.analysis.statistics import sign_flips
from initbench.analysis.statistics.blocks import seed_weights
from initbench.analysis.statistics.pairs import holm
from initbench.analysis.statistics.row_swaps import Rows, swap_test
from initbench.analysis.statistics.sign_flips import (
    EXACT_UP_TO,
    Alternative,
    lower_bound,
    seeds_for_flips,
    sign_flip,
    sign_patterns,
)

# Heights of cross- less self-fertilized plants, in eighths of an inch: Darwin 1876, in Fisher 1935, section 21
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_darwins_plants() -> None:
    # Fisher 1935, section 21: of the 2^15 sums, 863 are at least as large as the observed 314, on either side.
    assert sign_flip(DARWIN) == pytest.approx(2 * 863 / 2**15)
    assert sign_flip(DARWIN, "greater") == pytest.approx(863 / 2**15)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_it_is_scipys_permutation_test(alternative: Alternative) -> None:
    generator = np.random.default_rng(0)
    for n in (4, 7, 10):
        differences = generator.normal(0.3, 1, n)
        test = stats.permutation_test(
            (differences, np.zeros(n)),
            lambda a, b: np.mean(a - b),
            permutation_type="samples",
            n_resamples=2**n,
            alternative=alternative,
        )
        assert sign_flip(differences, alternative) == pytest.approx(test.pvalue)


def test_students_t_orders_all_flips_alike() -> None:
    differences = np.random.default_rng(1).normal(0.5, 1, 8)
    t = [stats.ttest_1samp(differences * signs, 0).statistic for signs in product((-1, 1), repeat=8)]
    observed = stats.ttest_1samp(differences, 0).statistic
    assert sign_flip(differences) == pytest.approx((np.abs(t) >= abs(observed) - 1e-9).mean())


def test_several_comparisons_at_once_are_each_by_itself() -> None:
    generator = np.random.default_rng(3)
    for seeds in (9, 24):
        differences = generator.normal(0.2, 1, (seeds, 70))
        together = sign_flip(differences)
        assert together.shape == (70,)
        assert together[[0, 66]].tolist() == [sign_flip(differences[:, at]) for at in (0, 66)]


def test_a_seed_has_one_sign_on_all_workloads() -> None:
    """Twelve runs that all were won are no more than six seeds: a seed may be lucky wherever it is run."""
    matrix = seed_weights(np.repeat([0, 1], 6), [*range(6), *range(6)])
    assert sign_flip(matrix @ np.ones(12)) == 2 / 2**6
    apart = seed_weights(np.repeat([0, 1], 6), range(12))
    assert sign_flip(apart @ np.ones(12)) == 2 / 2**12


def test_workloads_that_disagree_steadily_are_no_luck() -> None:
    """Every seed of one workload lost by about 10 points, every one of another won by about 30: the mean is 10."""
    noise = 0.01 * np.random.default_rng(0).normal(size=16)
    matrix = seed_weights(np.repeat([0, 1], 8), [*range(8), *range(8)])
    assert sign_flip(matrix @ (np.repeat([-0.1, 0.3], 8) + noise)) == 2 / 2**8
    # And where they cancel, nothing is found.
    assert sign_flip(matrix @ (np.repeat([-0.2, 0.2], 8) + noise)) > 0.05


def test_sums_that_tie_on_paper_tie() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point. All of one sign: 2 of 8 are as extreme.
    assert sign_flip([0.1, 0.2, 0.3]) == 2 / 8
    assert sign_flip([0.1, 0.2, -0.3]) == 1
    # +-1 ten times, 9 of them up: sums of 8 or 10, 11 of 1024 on either side; in units that do not add up exactly
    assert sign_flip(np.array([1] * 9 + [-1]) * 0.0037 / 7) == 22 / 1024


def test_zeros_say_nothing() -> None:
    assert sign_flip([0.0] * 40) == 1
    assert sign_flip([]) == 1
    assert sign_flip(np.zeros((0, 3))).tolist() == [1, 1, 1]
    assert sign_flip([*DARWIN, 0, 0]) == sign_flip(DARWIN)


@pytest.mark.parametrize("n", [1, 2, 5, EXACT_UP_TO])
def test_one_sign_gives_the_smallest_p(n: int) -> None:
    assert sign_flip(np.arange(1, n + 1)) == 2 / 2**n
    assert sign_flip(np.arange(1, n + 1), "greater") == 1 / 2**n
    assert sign_flip(np.arange(1, n + 1), "less") == 1


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_random_flips_agree_with_all_of_them(alternative: Alternative, monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(2).normal(0.4, 1, 15)
    exact = sign_flip(differences, alternative)
    assert 0.01 < exact < 0.5
    monkeypatch.setattr(sign_flips, "sign_patterns", partial(sign_patterns, exact_up_to=0))
    assert sign_flip(differences, alternative) == pytest.approx(
        exact, abs=4 * math.sqrt(exact * (1 - exact) / sign_flips.FLIPS)
    )


def test_random_flips_never_give_zero() -> None:
    assert sign_flip(np.ones(60)) == 1 / 50_000


@pytest.mark.parametrize("comparisons", [1, 10, 1035])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 1 / 16])
def test_seeds_for_flips_are_just_enough(comparisons: int, alpha: float) -> None:
    n = seeds_for_flips(comparisons, alpha)
    best, next_best = ([sign_flip(np.ones(k)), *[1.0] * (comparisons - 1)] for k in (n, n - 1))
    assert holm(best)[0] < alpha <= holm(next_best)[0]


def test_six_seeds_are_needed_for_one_comparison() -> None:
    assert seeds_for_flips() == 6  # 2 / 2^5 = 0.0625, 2 / 2^6 = 0.031


def test_the_lower_bound_is_where_the_test_just_refutes() -> None:
    generator = np.random.default_rng(4)
    alone = [seed_weights(np.zeros(seeds), range(seeds)) for seeds in (8, 24)]
    matrices = [*alone, seed_weights(np.arange(12) % 2, [*range(7), 0, 1, 2, 7, 8])]
    for matrix in matrices:
        values, share = matrix @ generator.normal(1.0, 1.0, (matrix.shape[1], 3)), matrix.sum(axis=1)
        bound = lower_bound(values, share)
        width = np.ptp(values)
        inside, outside = (values - np.outer(share, bound + shift * width) for shift in (-1e-3, 1e-3))
        assert (sign_flip(inside, "greater") < 0.025).all()
        assert (sign_flip(outside, "greater") >= 0.025).all()


def test_the_lower_bound_by_hand() -> None:
    # Six differences: only all of one sign has p = 1/64 < 0.025, so the bound is the least of them.
    found = lower_bound(np.array([[0.3], [0.5], [0.2], [0.9], [0.4], [0.6]]), np.ones(6))
    assert found == pytest.approx([0.2], abs=1e-5)
    assert lower_bound(np.array([[0.3], [0.5], [0.2]]), np.ones(3)).tolist() == [-math.inf]  # 1/8 is never below


def test_the_lower_bound_of_what_has_no_spread() -> None:
    assert lower_bound(np.full((8, 1), 1e-9), np.ones(8)) == pytest.approx([1e-9])
    assert lower_bound(np.zeros((8, 1)), np.ones(8)).tolist() == [0.0]


@pytest.mark.parametrize("seed", range(20))
def test_sums_that_are_equal_on_paper_are_equal(seed: int) -> None:
    """Tenths are no binary fractions: against whole numbers, whose sums are exact. Likewise for swapped rows."""
    tenths = np.random.default_rng(seed).integers(-5, 6, size=7)
    every = np.array(list(product((1, -1), repeat=7))) @ tenths
    exact = {
        "two-sided": np.mean(np.abs(every) >= abs(tenths.sum())),
        "greater": np.mean(every >= tenths.sum()),
        "less": np.mean(every <= tenths.sum()),
    }
    scores = np.stack([0.7 + tenths / 10, np.full(7, 0.7)])[:, :, None]
    for alternative, p in exact.items():
        assert sign_flip(tenths / 10, alternative) == pytest.approx(p)
        assert swap_test([Rows(scores, scores, tuple(range(7)), cross_fitted=True)], alternative) == pytest.approx(p)


def test_what_is_rounding_in_one_comparison_is_not_in_another() -> None:
    """Each has its own size: 1e12 times larger differences beside them change nothing."""
    small = np.random.default_rng(5).normal(0.3, 1, 9)
    large = 1e12 * np.random.default_rng(6).normal(0.3, 1, 9)
    together = sign_flip(np.column_stack([small, large]))
    assert together.tolist() == [sign_flip(small), sign_flip(large)]
    bounds = lower_bound(np.column_stack([small, large]), np.ones(9))
    assert bounds == pytest.approx([lower_bound(of[:, None], np.ones(9))[0] for of in (small, large)])


def test_a_bound_at_a_level_that_the_smallest_p_just_meets_is_none() -> None:
    """The test refutes below alpha, not at it."""
    values = np.array([[0.3], [0.5], [0.2], [0.9]])
    assert lower_bound(values, np.ones(4), alpha=1 / 16).tolist() == [-math.inf]
    assert lower_bound(values, np.ones(4), alpha=1 / 15) == pytest.approx([0.2], abs=1e-5)
