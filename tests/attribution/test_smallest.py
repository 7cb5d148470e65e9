"""The smallest set of parts that keeps the difference: what each set keeps, and the ratio of two means."""

import math

import numpy as np
import pandas as pd
import pytest
from bench_attribution import NAMES, scores, truth
from scipy import stats

from initbench.attribution.design import Design, design
from initbench.attribution.effects import Effects
from initbench.attribution.smallest import _sets, ratio_interval, smallest


def of_means(plan: Design, planted: dict[tuple[int, ...], float]) -> Effects:
    """Ten seeds without noise."""
    return Effects(plan, pd.DataFrame([truth(plan, planted)] * 10))


@pytest.mark.parametrize("parts", [2, 4, 5, 6, 7, 10])
def test_what_a_set_gains_is_what_it_scores_without_noise(parts: int) -> None:
    plan = design(NAMES[:parts])
    planted = {(0,): 1.5, (1,): -0.5, (0, 1): 0.75}
    levels, weights = _sets(plan)
    full = Design(plan.parts, ())
    means = dict(zip(full.arms, truth(full, planted), strict=True))
    gains = of_means(plan, planted).gains[0] @ weights.T
    for row, gain in zip(levels, gains, strict=True):
        assert gain == pytest.approx(means[plan.drawn_by_b(row)] - means[()])
    assert plan.drawn_by_b(levels[-1]) == plan.parts


def test_sets_that_depend_on_pairs_that_cannot_be_told_apart_are_left_out() -> None:
    assert len(_sets(design(NAMES[:6]))[0]) == 2**6 - 1
    seven = design(NAMES[:7])  # one word of four letters: C, E, F, G
    levels, _ = _sets(seven)
    assert len(levels) == 2**6 - 1
    (word,) = [word for word in seven.words if len(word) == 4]
    assert (levels[:, list(word)].prod(axis=1) == 1).all()


@pytest.mark.parametrize(
    "planted, parts, share",
    [
        ({(0,): 1.0}, ("A",), 1.0),
        ({(0,): -1.0}, ("A",), 1.0),  # b is worse, and A is why
        ({(0,): 96.0, (1,): 4.0}, ("A",), 0.96),
        ({(0,): 90.0, (1,): 10.0}, ("A", "B"), 1.0),
        ({(0,): 1.0, (1,): 1.0, (0, 1): 2.0}, ("A", "B"), 1.0),
        ({(0,): 1.0, (1,): 1.0, (2,): 1.0}, ("A", "B", "C"), 1.0),
        ({(0,): 1.0, (1,): -0.5}, ("A",), 2.0),  # without B it gains even more
        ({(0,): 1.3, (1,): 1.2, (2,): -1.3}, ("A",), 1.3 / 1.2),  # A or B is enough, and A gains more
    ],
)
def test_the_set_is_the_smallest_that_is_enough(
    planted: dict[tuple[int, ...], float], parts: tuple[str, ...], share: float
) -> None:
    found = smallest(of_means(design(NAMES[:4]), planted))
    assert found is not None
    assert found.parts == parts
    assert found.share == pytest.approx(share)
    assert found.agreement == 1.0


def test_a_set_is_measured_on_a_seed_that_it_was_not_chosen_by() -> None:
    """Nothing but noise: by the seeds that chose it a set keeps 95 % or more, on others nothing of the kind."""
    plan = design(NAMES[:4])
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        effects = Effects(plan, scores(rng, plan, "normal", 12, {(0,): 1.0, (1,): 1.0}))
        found = smallest(effects)
        assert found is not None
        levels, weights = _sets(plan)
        place = [plan.drawn_by_b(row) for row in levels].index(found.parts)
        gains = (effects.gains @ weights.T).mean(axis=0)
        shares.append((gains[place] / gains[-1], found.share))
    chosen_by, held_out = np.median(shares, axis=0)
    assert min(share for share, _ in shares) >= 0.95
    assert held_out < chosen_by


def test_two_seeds_are_too_few_to_measure_anything() -> None:
    assert smallest(Effects(design(["A", "B"]), pd.DataFrame(np.eye(2, 4)))) is None


def test_a_ratio_to_a_constant_has_students_interval() -> None:
    values = np.array([1.0, 2.0, 4.0, 5.0])
    share, low, high = ratio_interval(values, np.full(4, 2.0))
    ends = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert share == 1.5
    assert (low, high) == pytest.approx((ends[0] / 2, ends[1] / 2))


def test_a_ratio_is_in_the_interval_unless_students_t_refutes_it() -> None:
    rng = np.random.default_rng(3)
    of = rng.normal(3.0, 1.0, 12)
    values = 0.8 * of + rng.normal(size=12)
    _, low, high = ratio_interval(values, of)
    for ratio in np.linspace(low - 0.5, high + 0.5, 41):
        refuted = stats.ttest_1samp(values - ratio * of, 0.0).pvalue < 0.05
        assert refuted == (not low <= ratio <= high)


def test_a_ratio_to_what_may_be_zero_has_no_interval() -> None:
    share, low, high = ratio_interval(np.array([1.0, 2.0, 1.5]), np.array([1.0, -1.0, 0.5]))
    assert share == pytest.approx(9.0)
    assert math.isnan(low)
    assert math.isnan(high)
    assert all(map(math.isnan, ratio_interval(np.ones(3), np.zeros(3))))


def test_the_interval_holds_the_estimate() -> None:
    """Seeds that chose another set than all of them together may measure what is far from what that set keeps."""
    plan = design(NAMES[:4])
    outside = 0
    for number in range(60):
        effects = Effects(plan, scores(np.random.default_rng(number), plan, "normal", 6, {(0,): 2.0, (1,): 1.0}))
        found = smallest(effects)
        assert found is not None
        levels, weights = _sets(plan)
        place = [plan.drawn_by_b(row) for row in levels].index(found.parts)
        gains = effects.gains @ weights.T
        _, low, high = ratio_interval(gains[:, place], gains[:, -1])
        if math.isnan(low):
            continue
        outside += not low - 1e-9 <= found.share <= high + 1e-9
        assert found.low <= found.share <= found.high
        assert (found.low, found.high) == pytest.approx((min(low, found.share), max(high, found.share)))
    assert outside
