"""When a study may be over."""

from pathlib import Path

import pandas as pd
import pytest
from looking import look, text
from records import folder_name, iso, write, write_plan

from initbench.record.lock import lock


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
    assert "no run has begun" in text(look(tmp_path))
    write_plan(tmp_path, folder_name("orthogonal", 0), folder_name("orthogonal", 1))
    assert "unknown until a run finishes" in text(look(tmp_path))
    write(tmp_path, "orthogonal", 0, took=12)
    assert "nothing is running; a run takes about 12 s" in text(look(tmp_path))
    assert "1 at once, about 12 s each, 5 a minute: about 12 s left" in text(look(tmp_path, 1))
    with lock(write(tmp_path, "orthogonal", 2, "running")):
        (tmp_path / ".sweep" / "plan.json").unlink()
        assert "the number of runs to come is unknown" in text(look(tmp_path), 120)
