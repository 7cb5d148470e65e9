"""The course of a race: by hand, as a function of the scores alone, and in simulated races."""

import dataclasses
import math

import numpy as np
import pytest

from initbench.analysis.race.course import Course, course
from initbench.analysis.race.rules import Rules

PATTERNS = 2**10


def scores(seed: int, leads: list[float], seeds: int = 30) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.5 * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, len(leads))) + leads


def plain(race: Course) -> dict:
    return {field.name: getattr(race, field.name) for field in dataclasses.fields(race)}


def test_one_that_is_worse_in_every_run_is_out_at_the_first_look() -> None:
    runs = scores(0, [0.0, 0.0, -50.0, -100.0])
    race = course(runs[:5], Rules(4))
    assert [(out.init, out.seeds, out.is_apart) for out in race.exits] == [(2, 5, True), (3, 5, True)]
    best = int(runs[:5].mean(axis=0).argmax())
    assert {out.by for out in race.exits} == {best}
    assert race.exits[0].lead == pytest.approx(runs[:5, best].mean() - runs[:5, 2].mean())
    assert race.inside == [0, 1]
    assert not race.is_over


def test_a_single_run_that_is_as_good_keeps_it_in_for_the_sign_flips() -> None:
    runs = np.tile([1.0, 0.0], (30, 1)) + 0.01 * np.random.default_rng(0).normal(size=(30, 2))
    runs[0, 1] = 1.5
    race = course(runs, Rules(2))
    assert [out.is_apart for out in race.exits] == [False]
    assert race.winner == 0
    assert race.seeds > Rules(2).apart_after


def test_the_seeds_of_the_sign_flips_are_those_of_a_hand_computation() -> None:
    """Two initializers, one of which is ahead by 1 with every seed but is not better in every run.

    All signs are alike, so the observed path is the highest of the 2^n of n seeds. It crosses when 2^-n is no more than
    the share that may be spent, which is .02103 n / 30 (.025 less 1 / C(10, 5)): 1/256 = .0039 with n = 8, as .0056 may
    be spent, whereas with 7 seeds 1/128 = .0078 is more than .0049.
    """
    runs = np.cumsum(np.ones((30, 2)), axis=0) * 10
    runs[:, 1] -= 1
    race = course(runs, Rules(2))
    assert [(out.init, out.seeds, out.by, out.lead) for out in race.exits] == [(1, 8, 0, 1.0)]


def test_its_decisions_are_those_of_the_seeds_so_far() -> None:
    """However many seeds there are already, and whatever those have run that are out."""
    for seed in range(8):
        runs = scores(seed, [1.0, 0.6, 0.0, -1.0, -6.0])
        whole = course(runs, Rules(5), PATTERNS)
        assert whole.exits
        for number in range(31):
            part = course(runs[:number], Rules(5), PATTERNS)
            assert part.looks == whole.looks[: part.seeds]
            assert part.exits == [out for out in whole.exits if out.seeds <= number]
        holes = runs.copy()
        for out in whole.exits:
            holes[out.seeds :, out.init] = math.nan
        holes[whole.seeds :] = math.nan
        assert plain(course(holes, Rules(5), PATTERNS)) == plain(whole)


def test_it_waits_for_a_run_of_one_that_is_in() -> None:
    runs = scores(1, [0.0, 0.0, 0.0])
    runs[6, 1] = math.nan
    race = course(runs, Rules(3), PATTERNS)
    assert race.seeds == 6
    assert not race.is_over


def test_the_order_of_the_initializers_decides_nothing() -> None:
    order = [3, 1, 4, 0, 2]
    for seed in range(5):
        runs = scores(seed, [1.0, 0.8, 0.0, -1.0, -6.0])
        race, turned = (course(of, Rules(5), PATTERNS) for of in (runs, runs[:, order]))
        assert sorted(order[init] for init in turned.inside) == race.inside
        assert {(order[out.init], out.seeds, order[out.by]) for out in turned.exits} == {
            (out.init, out.seeds, out.by) for out in race.exits
        }


def test_a_common_change_of_all_scores_decides_nothing() -> None:
    """The seeds' own luck, and the unit of the scores."""
    runs = scores(2, [1.0, 0.5, 0.0])
    race = course(runs, Rules(3, margin=0.4), PATTERNS)
    seeds = 100 * np.random.default_rng(0).normal(size=(30, 1))
    for changed, margin in ((runs + seeds, 0.4), (1000 * runs, 400.0)):
        other = course(changed, Rules(3, margin=margin), PATTERNS)
        apart_only = {out.init for out in race.exits if out.is_apart}  # compares runs of different seeds
        assert {out.init for out in race.exits} - apart_only <= {out.init for out in other.exits}
        assert other.equal == race.equal


def test_equal_ones_end_it_when_each_pair_is_within_the_margin() -> None:
    runs = 0.1 * scores(3, [0.0, 0.0, 0.0])
    race = course(runs, Rules(3, margin=0.3), PATTERNS)
    assert race.all_equal
    assert race.is_over
    assert race.seeds < 30
    assert not course(runs, Rules(3), PATTERNS).all_equal  # nobody has asked


def test_alike_in_every_run_is_equal_within_any_margin() -> None:
    runs = scores(4, [0.0])[:, [0, 0]]
    race = course(runs, Rules(2, margin=1e-6), PATTERNS)
    assert race.all_equal
    assert not race.exits


def test_it_ends_undecided_after_most_seeds() -> None:
    race = course(scores(5, [0.0, 0.0], seeds=40), Rules(2, most_seeds=12), PATTERNS)
    assert (race.seeds, race.is_over, race.winner, race.all_equal) == (12, True, None, False)


@pytest.mark.parametrize("strict", [False, True])
def test_the_only_best_stays_in_and_with_strict_nobody_leaves_wrongly(strict: bool) -> None:
    """400 races of four; in half of them, one is ahead by a fifth of a standard deviation. Level .05."""
    wrong = 0
    for seed in range(400):
        leads = [0.2, 0.0, 0.0, 0.0] if seed % 2 and not strict else [0.0] * 4
        race = course(scores(seed, leads), Rules(4, strict=strict), 2**8)
        wrong += bool(race.exits) if strict else race.winner is not None if leads[0] == 0 else 0 not in race.inside
    assert wrong / 400 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_half_of_the_runs_fail_and_nobody_is_out_for_it_too_often() -> None:
    """Three failures in a row are no evidence: Student's t after three seeds would put the best one out in one of 8."""
    out = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        runs = 8.0 * (rng.random((30, 4)) < 0.5) + 0.1 * rng.normal(size=(30, 4)) + [0.1, 0.0, 0.0, 0.0]
        out += 0 not in course(runs, Rules(4), 2**8).inside
    assert out / 400 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("gap, is_out", [(0.24, False), (0.26, True)])
def test_at_the_first_look_they_have_to_be_apart_by_a_quarter_of_the_range(gap: float, is_out: bool) -> None:
    better = np.array([1.0, 1.5, 2.0, 1.2, 1.9])  # a range of 1
    worse = 1 - gap + np.array([0.0, -0.5, -0.2, -0.1, -0.4])
    assert bool(course(np.stack([better, worse], axis=1), Rules(2)).exits) == is_out


def test_one_that_varies_far_more_is_not_out_for_it() -> None:
    """2,000 races of two with equal means, one of which varies four times as much; so do they until the first look."""
    rng = np.random.default_rng(0)
    rules = Rules(2, most_seeds=5)
    out = sum(bool(course(rng.normal(size=(5, 2)) * [1.0, 4.0], rules, 2**5).exits) for _ in range(2000))
    assert out / 2000 <= 2 / math.comb(10, 5) + 0.003


def test_a_look_has_the_leads_of_the_best_and_the_leads_that_would_decide() -> None:
    """By hand: 8 seeds, all signs alike; a lead of 1 on average crosses when its sum is the largest of all."""
    runs = np.cumsum(np.ones((30, 3)), axis=0) * 10
    runs[:, 1] -= 1
    runs[:, 2] += [(-1) ** seed - 0.5 for seed in range(30)]
    race = course(runs, Rules(3), PATTERNS)
    for look in race.looks:
        means = runs[: look.seeds].mean(axis=0)
        gone = {out.init for out in race.exits if out.seeds < look.seeds}
        assert look.best == max({0, 1, 2} - gone, key=lambda init: means[init])
        leads = {init: means[look.best] - means[init] for init in {0, 1, 2} - gone - {look.best}}
        assert look.leads == pytest.approx(leads)
        assert look.bounds.keys() == look.leads.keys()
    # Before it is out, the bound is above the lead; when it is out, the lead has reached it.
    (out,) = (out for out in race.exits if out.init == 1)
    before, at = race.looks[out.seeds - 2], race.looks[out.seeds - 1]
    assert before.bounds[1] > before.leads[1]
    assert at.bounds[1] <= at.leads[1] + 1e-9


def test_the_bound_of_a_lead_is_in_the_unit_of_a_mean() -> None:
    """All leads are 1: the highest of the 2^n sums is n, and the bound of the mean is 1 as soon as it may be spent."""
    runs = np.cumsum(np.ones((30, 2)), axis=0) * 10
    runs[:, 1] -= 1
    bounds = [look.bounds[1] for look in course(runs, Rules(2)).looks]
    assert bounds == [math.inf] * 7 + [pytest.approx(1.0)]


def test_who_is_out_was_beaten_by_the_best_that_beats_it() -> None:
    runs = np.tile([3.0, 2.0, 1.0, 0.0], (30, 1)) + 0.01 * np.random.default_rng(1).normal(size=(30, 4))
    race = course(runs, Rules(4))
    means = runs[:5].mean(axis=0)
    assert [(out.init, out.by, out.seeds) for out in race.exits] == [(1, 0, 5), (2, 0, 5), (3, 0, 5)]
    assert [out.lead for out in race.exits] == pytest.approx([means[0] - means[init] for init in (1, 2, 3)])
    assert race.runs == 4 * 5


def test_the_only_one_has_won_and_nobody_is_equal_to_itself() -> None:
    race = course(np.zeros((3, 1)), Rules(2), 2**5)
    assert (race.winner, race.all_equal, race.is_over, race.seeds) == (0, False, True, 0)


def test_two_of_three_pairs_within_the_margin_are_not_all() -> None:
    """Of three, the middle one is shown to be equal to either end, and the ends are not shown to be to each other."""
    rng = np.random.default_rng(0)
    runs = np.array([0.0, 0.05, 0.1]) + 0.2 * rng.normal(size=(30, 3)) + rng.normal(size=(30, 1))
    race = course(runs[:, [1, 0, 2]], Rules(3, margin=0.25, level=0.05, most_seeds=12), PATTERNS)
    assert race.equal == {frozenset((0, 1)), frozenset((0, 2))}
    assert not race.exits
    assert not race.all_equal
