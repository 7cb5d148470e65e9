"""Which learning rate is chosen, and which runs are scored for it."""

import math

import pytest
from frames import frame, record

from initbench.analysis.workload.learning_rate import choose_lr, scored


def test_the_best_mean_over_common_seeds() -> None:
    """0.1: (.6 + .8) / 2 = .7; 1: (.5 + .7) / 2 = .6. Seed 9, at one rate only, would turn it."""
    rates = {0.1: {0: 0.6, 1: 0.8}, 1.0: {0: 0.5, 1: 0.7, 9: 1.0}}
    runs = frame(*(record("a", seed, accuracy, lr=lr) for lr, of in rates.items() for seed, accuracy in of.items()))
    assert choose_lr(runs) == 0.1
    assert choose_lr(runs[runs["seed"] == 9]) == 1.0
    assert math.isnan(choose_lr(frame(record("a", 0, status="failed"))))


def test_of_equal_rates_the_one_in_the_middle() -> None:
    runs = frame(*(record("a", 0, 0.1, lr=lr) for lr in (0.01, 0.1, 1.0)))
    assert choose_lr(runs) == 0.1


def test_tuning_seeds_choose_and_are_not_scored() -> None:
    tuning = [record("a", seed, {0.1: 0.5, 1.0: 0.6}[lr], lr=lr, tuning=(7, 8)) for lr in (0.1, 1.0) for seed in (7, 8)]
    fresh = [record("a", seed, 0.55, lr=lr, tuning=(7, 8)) for lr in (0.1, 1.0) for seed in (0, 1)]
    runs, (choice,) = scored(frame(*tuning, *fresh))
    assert sorted(zip(runs["lr"], runs["seed"], strict=True)) == [(1.0, 0), (1.0, 1)]
    assert (choice.init, choice.lr, choice.rates, choice.cross_fitted) == ("a", 1.0, (0.1, 1.0), False)


def test_runs_of_before_the_tuning_share_its_seeds() -> None:
    """The same run may have been made by a grid that knew nothing of tuning."""
    rows = [record("a", 7, 0.9, lr=0.1), record("a", 7, 0.5, lr=1.0, tuning=(7,)), record("a", 0, 0.4, lr=0.1)]
    runs, _ = scored(frame(*rows))
    assert runs["seed"].tolist() == [0]


def test_in_a_plain_grid_each_seed_is_scored_at_what_the_others_choose() -> None:
    """Seed 2 is best at 1.0 by luck; the other two choose 0.1 for it, and it makes no difference to itself."""
    accuracies = {(0, 0.1): 0.6, (0, 1.0): 0.5, (1, 0.1): 0.6, (1, 1.0): 0.5, (2, 0.1): 0.6, (2, 1.0): 0.75}
    runs, (choice,) = scored(frame(*(record("a", seed, a, lr=lr) for (seed, lr), a in accuracies.items())))
    # Seeds 0 and 1 are chosen for by one that prefers 0.1 and seed 2: (.6 + .6) / 2 < (.5 + .75) / 2.
    assert dict(zip(runs["seed"], runs["lr"], strict=True)) == {0: 1.0, 1: 1.0, 2: 0.1}
    assert choice.cross_fitted


def test_a_single_seed_chooses_for_itself() -> None:
    runs, (choice,) = scored(frame(record("a", 0, 0.5, lr=0.1), record("a", 0, 0.9, lr=1.0)))
    assert runs["lr"].tolist() == [1.0]
    assert choice.at_edge


def test_a_diverged_rate_scores_chance() -> None:
    rows = [record("a", 0, 0.05, lr=0.1), record("a", 0, None, lr=1.0, status="diverged")]
    runs, _ = scored(frame(*rows))
    assert runs["score"].tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("lr", [None, "1e-3x"])
def test_without_a_rate_runs_are_taken_as_they_are(lr: object) -> None:
    runs, choices = scored(frame(record("a", 0, lr=lr), record("a", 1, lr=lr)))  # type: ignore[arg-type]  # that is it
    assert len(runs) == 2
    assert choices == []


def test_what_has_not_ended_stays() -> None:
    rows = [record("a", seed, lr=lr, status="refused") for seed in (0, 1) for lr in (0.1, 1.0)]
    runs, (choice,) = scored(frame(*rows))
    assert len(runs) == 4
    assert math.isnan(choice.lr)
    assert not choice.at_edge


@pytest.mark.parametrize("ended_first", [True, False])
@pytest.mark.parametrize("lr", [0.1, None])
def test_a_run_that_is_there_twice_counts_once_and_as_the_one_that_ended(ended_first: bool, lr: float | None) -> None:
    twins = [record("a", 0, 0.7, lr=lr), record("a", 0, None, lr=lr, status="failed")]
    runs, _ = scored(frame(*(twins if ended_first else twins[::-1]), record("a", 1, 0.6, lr=lr)))
    assert sorted(zip(runs["seed"], runs["score"], strict=True)) == [(0, 0.7), (1, 0.6)]


def test_workloads_are_chosen_for_apart() -> None:
    best = {10: 0.1, 20: 1.0}
    rows = [
        record("a", seed, 0.9 if lr == best[depth] else 0.5, lr=lr, model={"depth": depth})
        for depth in best
        for lr in (0.1, 1.0)
        for seed in (0, 1)
    ]
    _, choices = scored(frame(*rows))
    assert sorted(choice.lr for choice in choices) == [0.1, 1.0]
