"""The arithmetic of scripts/benchmarking.py: medians, ranges, and what is extrapolated."""

import sys

import bench_sweep
import pytest
from benchmarking import extrapolated, file_name, process, ratios, take_turns, timing


def test_a_timing_is_the_median_with_the_range() -> None:
    time = timing([3.0, 2.0, 2.5])
    assert (time.median, time.low, time.high, time.times) == (2.5, 2.0, 3.0, 3)
    assert time.spread == pytest.approx(0.4)
    assert not time.is_extrapolated


def test_a_range_of_more_than_a_fifth_is_said() -> None:
    assert timing([10.0, 9.0, 11.0]).range(".1f") == "9.0 to 11.0"
    assert timing([10.0, 9.0, 11.0]).cell(".1f") == "10.0"
    assert timing([10.0, 8.9, 12.0]).range(".1f") == "8.9 to 12.0, spread 31%"
    assert timing([10.0, 8.9, 12.0]).cell(".2f") == "10.00, spread 31%"


def test_one_round_has_no_range() -> None:
    assert timing([10.0]).range(".1f") == "one round"


def test_ratios_are_taken_within_rounds() -> None:
    """A machine that becomes ten times slower changes both."""
    assert ratios([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]).median == 2.0


def test_what_is_extrapolated_is_the_start_and_so_many_more_runs() -> None:
    """Start-up and first run: 4 s and 6 s; a run: 2, 3, 4 and 2, 2, 5 s."""
    time = extrapolated([(13.0, [2.0, 3.0, 4.0]), (15.0, [2.0, 2.0, 5.0])], runs=11)
    assert (time.median, time.low, time.high) == (5.0 + 10 * 2.5, 4.0 + 10 * 2.0, 6.0 + 10 * 5.0)
    assert time.is_extrapolated
    assert time.range(".0f") == "24 to 56, spread 107%"


def test_as_many_runs_as_were_done_take_as_long_as_they_took() -> None:
    assert extrapolated([(13.0, [3.0, 3.0, 3.0])], runs=4).median == 13.0


def test_more_runs_never_take_less() -> None:
    """The difference of two short processes once said -429 s."""
    noisy = [(30.0, [1.0, 9.0, 1.0]), (12.0, [2.0, 1.0, 8.0])]
    assert 0.0 < extrapolated(noisy, 5).low < extrapolated(noisy, 64).low


def test_ways_take_turns_and_the_first_round_may_warm_up() -> None:
    order: list[str] = []

    def way(name: str) -> int:
        order.append(name)
        return len(order)

    ways = {"a": lambda: way("a"), "b": lambda: way("b")}
    assert take_turns(ways, 2, warm_up=1) == {"a": [3, 5], "b": [4, 6]}
    assert order == ["a", "b"] * 3
    order.clear()
    assert take_turns(ways, 1, warm_up=0) == {"a": [1], "b": [2]}


def test_a_process_is_timed_from_its_start_to_its_end() -> None:
    seconds, printed = process([sys.executable, "-c", "import time; time.sleep(0.2); print('done')"])
    assert printed == "done\n"
    assert seconds >= 0.2


def test_a_process_that_fails_ends_the_benchmark_with_what_it_said() -> None:
    """Otherwise a sweep that stops at once would be the fastest."""
    with pytest.raises(SystemExit, match=r"(?s)ended with exit code 1:.*ValueError: no data"):
        process([sys.executable, "-c", "raise ValueError('no data')"])


def test_a_sweep_says_which_rows_are_extrapolated() -> None:
    few = {"title": "4 runs", "runs": 4, "processes": {"bare": [(8.0, [1.0, 1.0, 1.0])], "auto": [(2.0, [])]}}
    many = {"title": "64 runs", "runs": 64, "processes": {"bare": [(8.0, [1.0, 1.0, 1.0])], "auto": [(9.0, [])]}}
    assert bench_sweep.table(few).rows == [
        ["bare", "8.0", "one round", "2.00", "1.0"],
        ["auto", "2.0", "one round", "0.50", "4.0"],
    ]
    assert bench_sweep.table(many).rows == [
        ["bare (extrapolated)", "68.0", "68.0 to 68.0", "1.06", "1.0"],
        ["auto", "9.0", "one round", "0.14", "7.6"],
    ]


def test_the_name_of_a_page_is_the_machine_and_ends_with_the_date() -> None:
    machine = {"processor": "AMD EPYC", "cores": 2, "accelerators": ["NVIDIA H200, 140 GiB"], "date": "2026-11-26"}
    assert file_name(machine) == "amd-epyc-2-cores-nvidia-h200-140-gib-2026-11-26"
    assert file_name({**machine, "accelerators": []}) == "amd-epyc-2-cores-2026-11-26"
