"""Sign flips against Fisher, SciPy and hand computations."""

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats

from initbench.analysis import flips
from initbench.analysis.flips import EXACT_UP_TO, Alternative, blocks_needed, lower_bound, sign_flip, sign_patterns
from initbench.analysis.pairs import holm

# Heights of cross- less self-fertilized plants, in eighths of an inch: Darwin 1876, in Fisher 1935, section 21
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_darwins_plants() -> None:
    # Fisher 1935, section 21: of the 2^15 sums, 863 are at least as large as the observed 314, on either side.
    assert sign_flip(DARWIN, ["plants"] * 15) == pytest.approx(2 * 863 / 2**15)
    assert sign_flip(DARWIN, ["plants"] * 15, "greater") == pytest.approx(863 / 2**15)


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
        assert sign_flip(differences, np.zeros(n), alternative) == pytest.approx(test.pvalue)


def test_several_comparisons_at_once_are_each_by_itself() -> None:
    generator = np.random.default_rng(3)
    for blocks, workloads in ((9, 3), (24, 2)):
        differences, labels = generator.normal(0.2, 1, (blocks, 70)), np.arange(blocks) % workloads
        together = sign_flip(differences, labels)
        assert together.shape == (70,)
        assert together[[0, 66]].tolist() == [sign_flip(differences[:, at], labels) for at in (0, 66)]


def test_workloads_count_alike() -> None:
    # Workload x: mean 0.3 of one seed; y: mean of 0.1, 0.1, -0.1. Sums of +-9 +-1 +-1 +-1, in 1/60: the observed 10
    # and its like (10 three times, 12 once), of 16, and as many below.
    assert sign_flip([0.1, 0.3, 0.1, -0.1], ["y", "x", "y", "y"]) == pytest.approx(2 * 4 / 16)


def test_several_workloads_spelled_out() -> None:
    generator = np.random.default_rng(1)
    differences, workloads = generator.normal(size=9), np.array([0, 0, 0, 0, 0, 1, 1, 2, 2])

    def statistic(values: np.ndarray) -> float:
        groups = [values[workloads == workload] for workload in range(3)]
        error = math.sqrt(sum(group.var(ddof=1) / group.size for group in groups)) / 3
        return float(np.mean([group.mean() for group in groups]) / error)

    observed = statistic(differences)
    flipped = np.array([statistic(differences * signs) for signs in product((-1, 1), repeat=9)])
    assert sign_flip(differences, workloads) == pytest.approx((abs(flipped) >= abs(observed) - 1e-9).mean())
    assert sign_flip(differences, workloads, "less") == pytest.approx((flipped <= observed + 1e-9).mean())


def test_workloads_that_disagree_steadily_are_no_luck() -> None:
    """Every seed of one workload lost by about 10 points, every one of another won by about 30: the mean is 10."""
    noise = 0.01 * np.random.default_rng(0).normal(size=16)
    differences, workloads = np.repeat([-0.1, 0.3], 8) + noise, np.repeat([0, 1], 8)
    assert sign_flip(differences, workloads) <= 4 / 2**16  # the observed, its mirror; both of the larger mean, 20
    # And where they cancel, nothing is found.
    assert sign_flip(np.repeat([-0.2, 0.2], 8) + noise, workloads) > 0.05


def test_differences_without_spread_are_compared_by_their_mean() -> None:
    # Flips of whole workloads have no spread either: +-1 +-3 is as extreme as 4 twice, of 2^6.
    assert sign_flip([0.1, 0.1, 0.1, 0.3, 0.3, 0.3], [0, 0, 0, 1, 1, 1]) == 2 / 64


def test_sums_that_tie_on_paper_tie() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point. All of one sign: 2 of 8 are as extreme.
    assert sign_flip([0.1, 0.2, 0.3], [0] * 3) == 2 / 8
    assert sign_flip([0.1, 0.2, -0.3], [0] * 3) == 1
    # +-1 ten times, 9 of them up: sums of 8 or 10, 11 of 1024 on either side; in units that do not add up exactly
    assert sign_flip(np.array([1] * 9 + [-1]) * 0.0037 / 7, [0] * 10) == 22 / 1024


def test_zeros_say_nothing() -> None:
    assert sign_flip([0.0] * 40, [0] * 40) == 1
    assert sign_flip([0.0] * 12, [0] * 6 + [1] * 6) == 1
    assert sign_flip([], []) == 1
    assert sign_flip([*DARWIN, 0, 0], [0] * 17) == sign_flip(DARWIN, [0] * 15)


@pytest.mark.parametrize("n", [1, 2, 5, EXACT_UP_TO])
def test_one_sign_gives_the_smallest_p(n: int) -> None:
    assert sign_flip(np.arange(1, n + 1), [0] * n) == 2 / 2**n
    assert sign_flip(np.arange(1, n + 1), [0] * n, "greater") == 1 / 2**n
    assert sign_flip(np.arange(1, n + 1), [0] * n, "less") == 1


@pytest.mark.parametrize("sizes", [(15,), (5, 5, 5), (13, 2)])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_random_flips_agree_with_all_of_them(
    sizes: tuple[int, ...], alternative: Alternative, monkeypatch: pytest.MonkeyPatch
) -> None:
    workloads = np.repeat(range(len(sizes)), sizes)
    differences = np.random.default_rng(2).normal(0.4, 1, workloads.size)
    exact = sign_flip(differences, workloads, alternative)
    assert 0.01 < exact < 0.5
    monkeypatch.setattr(flips, "sign_patterns", partial(sign_patterns, exact_up_to=0))
    assert sign_flip(differences, workloads, alternative) == pytest.approx(
        exact, abs=4 * math.sqrt(exact * (1 - exact) / flips.FLIPS)
    )


def test_random_flips_never_give_zero() -> None:
    assert sign_flip(np.ones(60), [0] * 60) == 1 / 50_000


@pytest.mark.parametrize("comparisons", [1, 10, 1035])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 1 / 16])
def test_blocks_needed_are_just_enough(comparisons: int, alpha: float) -> None:
    n = blocks_needed(comparisons, alpha)
    best, next_best = ([sign_flip(np.ones(k), [0] * k), *[1.0] * (comparisons - 1)] for k in (n, n - 1))
    assert holm(best)[0] < alpha <= holm(next_best)[0]


def test_six_seeds_are_needed_for_one_comparison() -> None:
    assert blocks_needed() == 6  # 2 / 2^5 = 0.0625, 2 / 2^6 = 0.031


def test_the_lower_bound_is_where_the_test_just_refutes() -> None:
    generator = np.random.default_rng(4)
    for workloads in (np.zeros(8), np.arange(12) % 2):
        differences = generator.normal(1.0, 1.0, (workloads.size, 3))
        bound = lower_bound(differences, workloads)
        width = np.ptp(differences)
        assert (sign_flip(differences - bound + 1e-3 * width, workloads, "greater") < 0.025).all()
        assert (sign_flip(differences - bound - 1e-3 * width, workloads, "greater") >= 0.025).all()


def test_the_lower_bound_by_hand() -> None:
    # Six differences: only all of one sign has p = 1/64 < 0.025, so the bound is the least of them.
    assert lower_bound(np.array([[0.3], [0.5], [0.2], [0.9], [0.4], [0.6]]), [0] * 6) == pytest.approx([0.2], abs=1e-5)
    assert lower_bound(np.array([[0.3], [0.5], [0.2]]), [0] * 3).tolist() == [-math.inf]  # 1/8 is never below
