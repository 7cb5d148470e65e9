"""Times to a target from the frame of runs."""

import math

import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.statistics.survival import log_rank, restricted_mean
from initbench.analysis.verdict.sentences import sentences
from initbench.analysis.workload.time_to_target import correct, observed, times_to


def test_reached_missed_and_diverged() -> None:
    """A run that diverged at step 40 never reaches it: seen to the end of the longest run, not to 40."""
    runs = frame(
        record("a", 0, hits=(10, None)),
        record("a", 1, hits=(None, None), steps=100),
        record("a", 2, None, hits=(None, None), steps=40, status="diverged"),
    )
    times, reached = observed(runs, "0.5")
    assert times.tolist() == [10, 100, 100]
    assert reached.tolist() == [True, False, False]
    seconds, _ = observed(runs, "0.5", "seconds")
    assert seconds.tolist() == [5, 50, 50]


def test_where_all_diverged_at_once() -> None:
    times, reached = observed(frame(record("a", 0, None, hits=(None, None), steps=0, status="diverged")), "0.5")
    assert (times.tolist(), reached.tolist()) == ([0], [False])


def test_a_row_an_initializer_the_soonest_first() -> None:
    hits = {"slow": (40, 60, None, 80), "fast": (10, 20, 10, 20)}
    runs = frame(*(record(init, seed, hits=(hit, None)) for init, of in hits.items() for seed, hit in enumerate(of)))
    table = times_to(runs, "0.5").table
    assert table.index.tolist() == ["fast", "slow"]
    assert table.loc["fast", ["hit_rate", "median_steps", "median_seconds", "mean_steps"]].tolist() == [1, 10, 5, 15]
    # Kaplan-Meier of slow: 1 to 40, 3/4 to 60, 1/2 to 80, 1/4 to 100, the horizon.
    assert table.at["slow", "mean_steps"] == pytest.approx(40 + 0.75 * 20 + 0.5 * 20 + 0.25 * 20)
    assert table.at["slow", "hit_rate"] == 0.75
    fast, slow = observed(runs[runs["init"] == "fast"], "0.5"), observed(runs[runs["init"] == "slow"], "0.5")
    assert table.at["slow", "p_alone"] == pytest.approx(log_rank(*fast, *slow))
    assert math.isnan(table.at["fast", "p_alone"])
    assert table.loc["slow", ["mean_steps", "mean_low", "mean_high"]].tolist() == pytest.approx(
        restricted_mean(*slow, 100)
    )


def test_at_the_very_end_is_sooner_than_never() -> None:
    """Both have the horizon as their restricted mean; the verdict names who got there alone."""
    runs = frame(*(record(init, 0, hits=(100 if init == "b" else None, None)) for init in "abc"))
    table = times_to(runs, "0.5").table
    assert table["mean_steps"].tolist() == [100, 100, 100]
    assert table.index[0] == "b"
    (said,) = (sentence.text for sentence in sentences(Comparison(runs)) if sentence.kind == "times")
    assert said == (
        "Fastest to 50% validation accuracy: b (median between 90 and 100 steps), but not significantly faster than "
        "the others."
    )


def test_tests_are_corrected_for_as_many_as_there_are() -> None:
    """A table of one initializer has no test; the first of three is compared with two, of three pairs."""
    tables = []
    for inits in ("abc", "ab", "a"):
        hits = {init: 10 + 40 * place for place, init in enumerate(inits)}
        rows = [record(init, seed, hits=(hit + seed, None)) for init, hit in hits.items() for seed in range(4)]
        tables.append(times_to(frame(*rows), "0.5"))
    for of in correct(tables):
        alone = of.table["p_alone"].tolist()[1:]
        assert of.table["p"].tolist()[1:] == pytest.approx([min(p * (3 + 1), 1) for p in alone])
        assert of.table["p_first"].tolist()[1:] == pytest.approx([p * 2 for p in alone])
    (alone,) = correct(tables[1:2])
    assert alone.table.at["b", "p"] == alone.table.at["b", "p_first"] == alone.table.at["b", "p_alone"]


def test_a_corrected_p_is_at_most_one() -> None:
    rows = [record(init, seed, hits=(10 + seed, None)) for init in "abc" for seed in range(4)]
    for of in correct([times_to(frame(*rows), target) for target in ("0.5", "0.5")]):
        assert of.table["p_alone"].tolist()[1:] == [1, 1]
        assert of.table["p"].tolist()[1:] == of.table["p_first"].tolist()[1:] == [1, 1]


def test_never_is_infinite_not_missing() -> None:
    runs = frame(*(record(init, seed, hits=(10 if init == "a" else None, None)) for init in "ab" for seed in range(3)))
    table = times_to(runs, "0.5").table
    assert math.isinf(table.at["b", "median_steps"])
    assert math.isinf(table.at["b", "median_seconds"])
    assert table.at["b", "mean_steps"] == 100
