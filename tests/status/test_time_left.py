"""When a study may be over."""

from pathlib import Path

import pandas as pd
import pytest
from looking import look, text
from records import folder_name, iso, write, write_plan

from initbench.record.lock import lock
from initbench.status.summary import Summary
from initbench.status.view import sentences


def test_time_left_is_the_work_left_shared_out(tmp_path: Path) -> None:
    for seed, took in enumerate([10, 20, 30]):
        write(tmp_path, "orthogonal", seed, took=took)
    write(tmp_path, "slow", 0, "diverged", took=100)
    running = [write(tmp_path, "orthogonal", 3, "running", ago=5), write(tmp_path, "slow", 1, "running", ago=30)]
    waiting = [folder_name("orthogonal", 4), folder_name("slow", 2), folder_name("unseen", 0)]
    write_plan(tmp_path, *(folder.name for folder in running), *waiting)
    with lock(running[0]), lock(running[1]):
        estimate = look(tmp_path).estimate
        half_done = write(tmp_path, "slow", 1, "running", ago=30, total_steps=100, steps=50)
        assert half_done == running[1]
    left = (20 - 5) + (100 - 30) + 20 + 100 + 40  # an initializer that is not known takes as long as all others
    assert estimate.at_once == 2
    assert estimate.seconds_left == pytest.approx(left / 2)
    assert estimate.seconds_each == pytest.approx((20 + 100 + 20 + 100 + 40) / 5)
    write_plan(tmp_path, *(folder.name for folder in running))
    with lock(running[0]), lock(running[1]):
        last = look(tmp_path).estimate
    assert last.seconds_left == pytest.approx(100 - 30)  # nothing shares the last run


def test_what_all_ends_at_once_is_judged_by_how_far_it_is(tmp_path: Path) -> None:
    """A pack: nothing is complete before everything is. What goes on from another time says nothing of the whole."""
    running = [write(tmp_path, "orthogonal", seed, "running", ago=30, total_steps=100) for seed in (0, 1)]
    for folder in running:
        pd.DataFrame({"step": [20, 60]}).to_parquet(folder / "history.parquet")
    write_plan(tmp_path, *(folder.name for folder in running), folder_name("slow", 0))
    with lock(running[0]), lock(running[1]):
        estimate = look(tmp_path).estimate
        for seed in (0, 1):
            write(tmp_path, "orthogonal", seed, "running", ago=30, resumed_at=[iso(10)], total_steps=100)
        assert look(tmp_path).estimate.seconds_each is None
    assert estimate.seconds_each == pytest.approx(30 / 0.6)
    assert estimate.seconds_left == pytest.approx((20 + 20 + 50) / 2)


def test_time_left_is_not_guessed(tmp_path: Path) -> None:
    assert "no run has started" in text(look(tmp_path))
    write_plan(tmp_path, folder_name("orthogonal", 0), folder_name("orthogonal", 1))
    assert "0 of 2 runs done, nothing is running yet" in text(look(tmp_path))
    assert "0 of 2 runs done, time left not known yet" in text(look(tmp_path, 1))
    write(tmp_path, "orthogonal", 0, took=12)
    assert last(look(tmp_path))[:2] == ["1 of 2 runs done, nothing is running", "a run takes about 12 s"]
    assert last(look(tmp_path, 1))[:2] == ["1 of 2 runs done, about 12 s left", "1 at a time, about 12 s each"]
    with lock(write(tmp_path, "orthogonal", 2, "running")):
        (tmp_path / ".sweep" / "plan.json").unlink()
        assert "the number of runs to come is not known" in text(look(tmp_path), 120)


def test_the_pace_is_how_often_a_run_ends(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "orthogonal", seed, took=600)
    write_plan(tmp_path, *(folder_name("orthogonal", seed) for seed in range(20)))
    assert last(look(tmp_path, 4)) == [
        "3 of 20 runs done, about 42 min left",
        "4 at a time, about 10 min each, 2 min 30 s per run",
        "20 runs: 3 finished, 17 waiting",
    ]


def last(summary: Summary) -> list[str]:
    return [line.plain for line in sentences(summary)]
