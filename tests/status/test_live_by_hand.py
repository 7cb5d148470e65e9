"""What a live view tells of runs that end while nobody looks, and when it has nothing more to wait for."""

import os
import platform
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from records import folder_name, write, write_plan
from rich.console import Console

from initbench.record.lock import lock
from initbench.status import live
from initbench.status.__main__ import _no_study, studies
from initbench.status.live import Live
from initbench.status.study import Study


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[list[str], list[str]]]:
    """The lines on standard output and on standard error since the last call."""
    files = StringIO(), StringIO()
    for name, file in zip(("console", "errors"), files, strict=True):
        monkeypatch.setattr(live, name, Console(file=file, width=80, highlight=False))

    def lines() -> tuple[list[str], list[str]]:
        found = tuple(file.getvalue().splitlines() for file in files)
        for file in files:
            file.seek(0)
            file.truncate()
        return found  # type: ignore[return-value]  # of two

    return lines


def test_what_went_wrong_goes_to_standard_error(tmp_path: Path, printed: Any) -> None:
    view = Live(tmp_path)
    for seed, status in enumerate(("finished", "diverged", "failed", "refused")):
        write(tmp_path, "zeros", seed, status, reason=None)
    view.look()
    out, err = printed()
    assert [line.split()[1] for line in out] == [f"lenet-mnist-zeros-seed{seed}" for seed in (0, 1)]
    assert [line.split()[1] for line in err] == [f"lenet-mnist-zeros-seed{seed}" for seed in (2, 3)]


def test_lines_are_in_the_order_of_their_records_and_count_from_what_was_over(tmp_path: Path, printed: Any) -> None:
    write_plan(tmp_path, *(folder_name("zeros", seed) for seed in range(5)), sweep="before")
    write(tmp_path, "zeros", 0, sweep="before")
    view = Live(tmp_path)
    write_plan(tmp_path, *(folder_name("zeros", seed) for seed in range(5)))
    folders = [write(tmp_path, "zeros", seed) for seed in (1, 2, 3)]
    for folder, at in zip(folders, (3000, 1000, 2000), strict=True):
        os.utime(folder / "record.json", (at, at))
    write(tmp_path, "other", 0)  # no run of the plan
    view.look()
    out, _ = printed()
    assert [line.split()[:2] for line in out] == [
        *[[f"[{number}/5]", f"lenet-mnist-zeros-seed{seed}"] for number, seed in ((2, 2), (3, 3), (4, 1))],
        ["[4/5]", "lenet-mnist-other-seed0"],
    ]


def test_who_only_watches_sees_the_plan_that_there_was_and_all_that_ended_since(tmp_path: Path, printed: Any) -> None:
    write(tmp_path, "zeros", 0)
    write_plan(tmp_path, folder_name("zeros", 0), folder_name("zeros", 1))
    ours, theirs = Live(tmp_path), Live(tmp_path, ours=False)
    write(tmp_path, "zeros", 1)
    for view, said, is_over in ((ours, "[2]", False), (theirs, "[2/2]", True)):
        view.look()
        ((line,), _) = printed()
        assert line.startswith(said)
        assert view.all_over.is_set() is is_over


def test_it_waits_for_the_last_round_of_a_race(tmp_path: Path, printed: Any) -> None:
    race = {
        "workload": "",
        "seeds": 5,
        "most_seeds": 30,
        "inside": [],
        "out": {},
        "best": None,
        "leads": {},
        "saved": 0,
    }
    write(tmp_path, "zeros", 0)
    for over in ((False,), (True, False), (True, True)):
        races = [{**race, "is_over": is_over} for is_over in over]
        write_plan(tmp_path, folder_name("zeros", 0), race=races, pid=os.getpid(), host=platform.node())
        view = Live(tmp_path, ours=False)
        view.look()
        assert view.all_over.is_set() is all(over)


def test_how_many_run_at_once_is_remembered_over_gaps(tmp_path: Path, printed: Any) -> None:
    for seed in range(2):
        write(tmp_path, "zeros", seed, took=10)
    write_plan(tmp_path, *(folder_name("zeros", seed) for seed in range(6)))
    view = Live(tmp_path, ours=False)
    running = [write(tmp_path, "zeros", seed, "running") for seed in (2, 3)]
    with lock(running[0]), lock(running[1]):
        view.look()
    for _ in range(9):
        view.look()
    assert max(view._at_once) == 2
    view.look()
    assert max(view._at_once) == 0


@pytest.mark.parametrize(
    "content",
    [
        {"pid": "1"},
        {"pid": True},
        {"sweep": 3},
        {"race": [{"seeds": 3}]},
        {"race": [3]},
        {"report": {"margin": -1}},
        {"report": {"reference": 3}},
        {"report": 3},
    ],
)
def test_a_plan_with_an_odd_part_is_none(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_plan(tmp_path, "a", **content)
    assert Study(tmp_path).plan() is None
    assert "plan.json cannot be read" in capsys.readouterr().err


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_plan(tmp_path, "a", "b", force=True, sweep=None, report={"margin": 0.5, "reference": "zeros"})
    plan = Study(tmp_path).plan()
    assert plan is not None
    assert (plan.runs, plan.force, plan.sweep, plan.abandoned) == ({"a", "b"}, True, None, False)
    assert (plan.margin, plan.reference, plan.races) == (0.5, "zeros", ())


def test_a_pid_that_no_system_has_is_taken_for_a_living_one(tmp_path: Path) -> None:
    write_plan(tmp_path, "a", pid=2**70, host=platform.node())
    plan = Study(tmp_path).plan()
    assert plan is not None
    assert not plan.abandoned


def test_studies_are_folders_with_runs_or_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "runs" / "depth")
    write_plan(tmp_path / "runs" / "width", "a")
    (tmp_path / "runs" / "empty" / "run").mkdir(parents=True)
    write(tmp_path / "elsewhere" / "mine")
    monkeypatch.chdir(tmp_path)
    assert studies(Path("runs")) == ["runs/depth", "runs/width"]
    assert _no_study(Path("elsewhere/min")) == (
        "there is no study 'elsewhere/min'. Did you mean 'elsewhere/mine'? "
        "There are: elsewhere/mine, runs/depth, runs/width"
    )
    assert _no_study(Path("elsewhere")) == "elsewhere holds studies, not runs; name one of them: elsewhere/mine"
    monkeypatch.chdir(tmp_path / "runs" / "empty")
    assert _no_study(Path("x")) == "there is no study 'x'."
