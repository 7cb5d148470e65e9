"""Effects of parts: contrasts by hand and by brute force, and which seeds count."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from bench_attribution import NAMES, scores, truth
from scipy import stats

from initbench.analysis.statistics.pairs import holm
from initbench.analysis.statistics.sign_flips import sign_flip
from initbench.attribution.design import design
from initbench.attribution.effects import WHOLE, Effects

# Seeds 0 to 2; the arms are nothing, B, A, A and B.
BY_HAND = pd.DataFrame([[1.0, 2.0, 4.0, 9.0], [1.0, 3.0, 4.0, 7.0], [2.0, 2.0, 5.0, 8.0]])


def test_the_gains_of_two_parts_by_hand() -> None:
    effects = Effects(design(["A", "B"]), BY_HAND)
    assert effects.design.arms == [(), ("B",), ("A",), ("A", "B")]
    # A: ((4 + 9) - (1 + 2)) / 2; B: ((2 + 9) - (1 + 4)) / 2; together beyond the sum: 9 - 2 - 4 + 1.
    assert effects.gains.tolist() == [[5.0, 3.0, 4.0], [3.5, 2.5, 1.0], [4.5, 1.5, 3.0]]
    assert effects.whole.tolist() == [8.0, 6.0, 6.0]
    assert list(effects.table["effect"]) == [WHOLE, "A", "B", "A x B"]
    assert effects.table["gain"].tolist() == pytest.approx([20 / 3, 13 / 3, 7 / 3, 8 / 3])


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_gains_are_averages_over_the_other_parts(parts: int) -> None:
    plan = design(NAMES[:parts])
    table = scores(np.random.default_rng(parts), plan, "normal", 3, {})
    of = {arm: table[place] for place, arm in enumerate(plan.arms)}
    effects = Effects(plan, table)
    for column, (effect,) in enumerate(plan.groups):
        own = {plan.parts[place] for place in effect}
        by_hand = []
        for rest in {arm for arm in plan.arms if not own & {*arm}}:
            parts_of = [tuple(p for p in plan.parts if p in {*rest, *of_own}) for of_own in _subsets(sorted(own))]
            signs = [(-1) ** (len(own) - len(of_own)) for of_own in _subsets(sorted(own))]
            by_hand.append(sum(sign * of[arm] for sign, arm in zip(signs, parts_of, strict=True)))
        assert np.allclose(effects.gains[:, column], np.mean(by_hand, axis=0))


def _subsets(items: list[str]) -> list[tuple[str, ...]]:
    return [of for size in range(len(items) + 1) for of in combinations(items, size)]


@pytest.mark.parametrize("parts", [2, 5, 6, 7, 8, 10])
def test_what_is_planted_is_what_is_estimated(parts: int) -> None:
    plan = design(NAMES[:parts])
    planted = {(0,): 1.5, (1,): -0.5, (0, 1): 0.75}
    means = truth(plan, planted)
    effects = Effects(plan, pd.DataFrame([means, means + 3]))  # a seed may be easier than another
    expected = [sum(planted.get(effect, 0.0) for effect in group) for group in plan.groups]
    assert np.allclose(effects.gains, expected)
    assert np.allclose(effects.whole, 1.0)
    assert effects.unexplained[0] == pytest.approx(0.0)


def test_three_parts_that_interact_are_not_the_sum_of_effects() -> None:
    plan = design(NAMES[:3])
    only_all = [1.0 if len(arm) == 3 else 0.0 for arm in plan.arms]
    rest, p = Effects(plan, pd.DataFrame([only_all] * 8)).unexplained
    assert rest == pytest.approx(1 - 3 / 4)
    assert p == 2 / 2**8


def test_p_values_are_those_of_sign_flips_corrected_over_all_rows() -> None:
    plan = design(NAMES[:3])
    effects = Effects(plan, scores(np.random.default_rng(1), plan, "heavy", 9, {(0,): 2.0}))
    values = np.column_stack([effects.whole, effects.gains])
    assert effects.table["p"].tolist() == sign_flip(values).tolist()
    assert effects.table["p_holm"].tolist() == holm(sign_flip(values)).tolist()
    assert effects.tests == 7
    assert effects.table["is_shown"].tolist() == (effects.table["p_holm"] < 0.05).tolist()
    assert not Effects(plan, effects.scores, level=1e-6).table["is_shown"].any()


def test_a_seed_without_all_arms_is_left_out() -> None:
    plan = design(["A", "B"])
    scored = BY_HAND.copy()
    scored.iloc[1, 2] = np.nan
    effects = Effects(plan, scored)
    assert (effects.seeds, effects.left_out) == (2, [1])
    assert effects.gains.tolist() == [[5.0, 3.0, 4.0], [4.5, 1.5, 3.0]]
    with pytest.raises(ValueError, match="no seed has a score in every arm"):
        Effects(plan, scored.iloc[1:2])


def test_with_too_few_seeds_nothing_can_be_shown() -> None:
    plan = design(NAMES[:6])  # 6 parts, 15 pairs and the whole difference
    certain = pd.DataFrame([truth(plan, {(0,): 100.0})] * 10)
    assert Effects(plan, certain).least_seeds == 10
    assert Effects(plan, certain).can_tell
    few = Effects(plan, certain.iloc[:9])
    assert not few.can_tell
    assert not few.table["is_shown"].any()
    assert Effects(plan, certain).table["is_shown"].tolist() == [True, True, *[False] * 20]


def test_rounding_is_no_effect() -> None:
    plan = design(NAMES[:3])
    table = scores(np.random.default_rng(0), plan, "normal", 10, {})
    table = pd.DataFrame(np.repeat(table[[0]].to_numpy(), 8, axis=1) + 0.1 + 0.2 - 0.3)  # all arms are alike
    assert (Effects(plan, table).table["p"] == 1).all()


def test_intervals_are_students_and_hold_for_all_rows_at_once() -> None:
    plan = design(NAMES[:2])
    effects = Effects(plan, scores(np.random.default_rng(2), plan, "normal", 9, {(0,): 1.0}))
    values = np.column_stack([effects.whole, effects.gains])
    reach = stats.t.ppf(1 - 0.05 / (2 * 4), 8) * stats.sem(values)
    assert effects.table["low"].tolist() == pytest.approx((values.mean(axis=0) - reach).tolist())
    assert effects.table["high"].tolist() == pytest.approx((values.mean(axis=0) + reach).tolist())


@pytest.mark.parametrize("halvings", range(4))
def test_a_halved_level_takes_one_more_seed(halvings: int) -> None:
    plan = design(NAMES[:3])  # seven tests: 7 * 2 / 2^9 < 0.05 < 7 * 2 / 2^8
    certain = pd.DataFrame([truth(plan, {(0,): 1.0})] * (9 + halvings))
    assert Effects(plan, certain, 0.05 / 2**halvings).least_seeds == 9 + halvings
    assert Effects(plan, certain, 0.05 / 2**halvings).can_tell
    assert not Effects(plan, certain.iloc[1:], 0.05 / 2**halvings).can_tell
