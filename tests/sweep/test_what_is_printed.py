"""What a sweep prints before its first run and after its last one, and with which exit code it ends."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest
from frames import record as ended

from initbench.console import console
from initbench.errors import UserMistake
from initbench.record import untold
from initbench.record.store import write_record
from initbench.record.sweep_id import SWEEP_VARIABLE
from initbench.sweep.dispatch import Planned, dispatch, say_what_can_be_shown
from initbench.sweep.plan import plan


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def grid(tmp_path: Path) -> list[list[str]]:
    return [[f"runs_dir={tmp_path}", f"seed={seed}"] for seed in range(7)]


STATUSES = ["finished", "diverged", "failed", "refused", "interrupted", "running"]


def with_records(loader: Any, master: Any, grid: list[list[str]]) -> None:
    for seed, (job, status) in enumerate(zip(plan(loader, master, grid), STATUSES, strict=False)):
        times = {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": f"2026-01-01T00:00:{seed + 4:02}+00:00"}
        write_record(job.folder, ended("any", seed, status=status, **times))


@pytest.mark.parametrize(
    "typed, states, last",
    [
        (
            [],
            [
                *("done", "done: diverged", "failed: runs again", "refused: is tried again"),
                *("continues from its checkpoint", "continues, or is running in another process", "new"),
            ],
            "7 runs, 5 to do; about 22 s one after the other, judging by finished runs of the same kind",
        ),
        (
            ["force=true"],
            [*["runs again"] * 6, "new"],
            "7 runs, 7 to do; duration unknown, as no run of the same kind has finished",
        ),
    ],
)
def test_a_dry_run_says_what_becomes_of_each_run_and_how_long_all_take(
    typed: list[str],
    states: list[str],
    last: str,
    compose: Any,
    grid: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "_width", 200)  # a row of the table is one line
    loader, master = compose("dry_run=true", *typed)
    with_records(loader, master, grid)
    before = sorted(tmp_path.rglob("*"))
    list(dispatch(loader, master, [grid], Planned()))
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split(maxsplit=1)[1].strip() for line in lines if "lenet-mnist_mini" in line]
    assert shown == states
    assert lines[-1] == last
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_of_what_would_be_refused_says_why_and_fails(
    compose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader, master = compose("dry_run=true")
    jobs = [[f"runs_dir={tmp_path}", f"optimizer.lr={lr}"] for lr in (0.1, -1, -2)]
    with pytest.raises(UserMistake, match=r"^2 of 3 runs would be refused: .*optimizer\.lr.*-1"):
        list(dispatch(loader, master, [jobs], Planned()))
    lines = capsys.readouterr().out.splitlines()
    states = [line.split(maxsplit=1)[1].strip() for line in lines if "lenet-mnist_mini" in line]
    assert [state.partition(":")[0] for state in states] == ["new", "would be refused", "would be refused"]
    assert lines[-1].startswith("3 runs, 1 to do, 2 refused; ")


def test_where_all_is_done_there_is_no_estimate(
    compose: Any, grid: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    loader, master = compose("dry_run=true")
    with_records(loader, master, grid)
    list(dispatch(loader, master, [grid[:2]], Planned()))
    assert capsys.readouterr().out.splitlines()[-1] == "2 runs, 0 to do"


def test_how_many_are_done_is_told_and_what_nobody_was_told_of_is_remembered(
    compose: Any, grid: list[list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "5eed")
    loader, master = compose("report.margin=0.3")
    with_records(loader, master, grid)
    folders = [job.folder for job in plan(loader, master, grid)]
    untold.mark(folders[1])
    untold.mark(folders[2])  # which runs again, and tells of itself then
    planned = Planned(race=[{"seeds": 3}])
    assert len(list(dispatch(loader, master, [grid[:3], grid[3:]], planned))) == 2
    assert capsys.readouterr().out == "7 runs, 2 of them already done\n"
    assert [store.folder for store in planned.untold] == [folders[1]]
    assert planned.runs == {folder.name for folder in folders}
    written = json.loads((folders[0].parent / ".sweep" / "plan.json").read_text())
    assert written["started_at"]
    del written["started_at"]
    assert written == {
        "runs": sorted(folder.name for folder in folders),
        "sweep": "5eed",
        "force": False,
        "report": {"margin": 0.3, "reference": None},
        "race": [{"seeds": 3}],
        "pid": os.getpid(),
        "host": platform.node(),
    }
    list(dispatch(loader, master, [[grid[6]]], Planned()))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("typed", ["print_init=true", "diagnostics=init", "force=true"])
def test_runs_that_are_done_are_launched_where_they_have_something_to_say(
    typed: str, compose: Any, grid: list[list[str]]
) -> None:
    loader, master = compose(typed)
    with_records(loader, master, grid)
    assert [len(todo) for todo in dispatch(loader, master, [grid], Planned())] == [7]


def test_what_died_comes_last_and_batches_without_runs_are_none(compose: Any, grid: list[list[str]]) -> None:
    loader, master = compose()
    with_records(loader, master, grid)
    found = list(dispatch(loader, master, [grid[:2], grid[2:]], Planned()))
    assert found == [[grid[3], grid[4], grid[6], grid[2], grid[5]]]


def shown(compose: Any, capsys: pytest.CaptureFixture[str], jobs: list[list[str]], *typed: str) -> str:
    loader, master = compose("dry_run=true", *typed)
    where = f"runs_dir={master.runs_dir}"
    say_what_can_be_shown(loader, master, [[where, *job] for job in jobs])
    return capsys.readouterr().out


def test_what_seeds_can_show_is_told_by_the_fewest_of_any_initializer(
    compose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {"zeros": range(12), "orthogonal": range(3)}
    jobs = [[f"init={init}", f"seed={seed}"] for init, of in seeds.items() for seed in of]
    assert shown(compose, capsys, jobs).startswith("3 seeds cannot show a significant difference")


def test_runs_that_may_share_seeds_are_not_counted(compose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [[f"init={init}", f"seed={seed}", "seeds.order=0"] for init in ("zeros", "orthogonal") for seed in range(9)]
    assert shown(compose, capsys, jobs) == ""
    assert shown(compose, capsys, [["init=zeros", f"seed={seed}"] for seed in range(9)]) == ""


def test_of_a_race_it_is_told_what_it_takes(compose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(compose, capsys, [["init=zeros"], ["init=orthogonal"]], "until=sure")
    assert found.startswith("the race takes, on average, about ")
    assert "; at most 60 runs (" in found
