"""What is read of a study's records: those made by hand, a real one, and what is none."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from looking import look, text
from records import NOW, folder_name, iso, record, write, write_plan

from initbench.metric import Metric
from initbench.record.lock import lock
from initbench.status.facts import from_record
from initbench.status.line import line
from initbench.status.study import DIED, Study
from initbench.status.view import clock
from initbench.training.run import run


def test_a_real_record_has_what_those_made_by_hand_have(small: Any, tmp_path: Path) -> None:
    real = run(small("study=real", "init=orthogonal", "seed=3"))
    assert real is not None
    assert set(record()) <= set(real)
    (seen,) = Study(tmp_path / "runs" / "real").read().runs
    assert (seen.name, seen.init, seen.status) == ("mlp-mnist_mini-orthogonal-seed3", "orthogonal", "finished")
    assert seen.setting == real["setting"]
    assert seen.folder.startswith(seen.kind)
    assert (seen.step, seen.total_steps, seen.seconds_train) == (8, 8, real["seconds_train"])
    assert (seen.best, seen.test) == (real["results"]["val/best_accuracy"], real["results"]["test/accuracy"])
    assert f"finished[/]  test accuracy {seen.test:.4f}  {seen.seconds_train:.1f} s" in line(seen)
    assert "]already finished[/]" in line(seen, "already ")


@pytest.mark.parametrize("name, higher, expected", [("accuracy", True, "bca"), ("loss", False, "acb")])
def test_the_best_median_comes_first_and_what_has_none_last(
    name: str, higher: bool, expected: str, tmp_path: Path
) -> None:
    metric = asdict(Metric(name, f"test {name}", higher_is_better=higher, unit="%" if higher else "nats"))
    values = {"a": (0.1, 0.2, 0.9), "b": (0.7, 0.8, 0.85), "c": (0.5, 0.6, 0.65)}
    for init, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            write(tmp_path, init, seed, metric=metric, results={f"val/best_{name}": value}, reason=None)
    write(tmp_path, "d", status="failed", reason="out of luck")
    (setting,) = look(tmp_path).settings
    assert [row.init for row in setting.rows] == [*expected, "d"]
    medians = {init: of_seeds[1] for init, of_seeds in values.items()}
    best = {init: (max if higher else min)(of_seeds) for init, of_seeds in values.items()}
    assert {row.init: row.median for row in setting.rows[:3]} == medians
    assert {row.init: row.best for row in setting.rows[:3]} == best


def test_a_run_is_running_while_somebody_is_at_it(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder = write(tmp_path, "zeros", status="running", ago=60, total_steps=200)
    lonely = write(tmp_path, "zeros", 1, status="running", ago=50)
    rows = {"step": [0, 10, 20], "val/accuracy": [0.1, 0.6, None], "train/loss": [None, 2.0, float("nan")]}
    parquet.write_table(pa.table(rows), folder / "history.parquet")
    with lock(folder), lock(lonely):
        summary = look(tmp_path)
    assert [run.name for run in summary.running] == ["lenet-mnist-zeros-seed0", "lenet-mnist-zeros-seed1"]
    assert (summary.running[0].step, summary.running[0].best) == (20, 0.6)
    assert (summary.running[1].step, summary.running[1].best) == (None, None)
    assert summary.settings[0].rows[0].best == 0.6
    shown = text(summary)
    assert f"lenet-mnist-zeros-seed0  {clock(NOW - 60, NOW)}  1 min 00 s  20 of 200" in shown
    dead = look(tmp_path)
    assert dead.counts == {"interrupted": 2, "waiting": 0}
    assert {run.reason for run in dead.runs} == {DIED}


def test_versions_of_an_initializer_have_a_row_each(tmp_path: Path) -> None:
    for seed, source in enumerate(("3fa2c1d0e5", "3fa2c1d0e5", "b90e77a412")):
        folder = write(tmp_path, "mine", seed)
        content = json.loads((folder / "record.json").read_bytes())
        content["config"]["source"] = {"init": source}
        (folder / "record.json").write_text(json.dumps(content))
    write(tmp_path, "zeros")
    (setting,) = look(tmp_path).settings
    assert {row.init: row.counts.total() for row in setting.rows} == {
        "mine (source 3fa2c1)": 2,
        "mine (source b90e77)": 1,
        "zeros": 1,
    }


def test_where_nobody_may_ask_the_record_is_believed(tmp_path: Path) -> None:
    folder = write(tmp_path, status="running")
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".locks" / f"{folder.name}.lock").symlink_to(f"{folder.name}.lock")  # cannot be opened
    assert look(tmp_path).counts["running"] == 1


def test_what_is_planned_and_has_no_record_of_this_sweep_waits(tmp_path: Path) -> None:
    statuses = ("finished", "failed", "interrupted", "running")
    old = [write(tmp_path, "zeros", seed, status, sweep="before").name for seed, status in enumerate(statuses)]
    absent = folder_name("zeros", 4)
    write_plan(tmp_path, *old, absent)
    summary = look(tmp_path)
    assert summary.counts == {"finished": 1, "waiting": 4}
    assert (summary.over, summary.planned) == (1, 5)
    with lock(tmp_path / old[3]):
        assert look(tmp_path).counts == {"finished": 1, "running": 1, "waiting": 3}
    write(tmp_path, "zeros", 1, "failed")  # again
    write(tmp_path, "ones", status="failed")  # not planned
    summary = look(tmp_path)
    assert summary.counts == {"finished": 1, "failed": 2, "waiting": 3}
    assert (summary.over, summary.planned) == (2, 5)
    write_plan(tmp_path, *old, absent, force=True, sweep="next")
    assert look(tmp_path).counts == {"failed": 1, "waiting": 5}


def test_a_sweep_that_has_ended_leaves_its_runs_to_the_next(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    write_plan(tmp_path, folder_name(), pid=child.pid, host=os.uname().nodename)
    assert not look(tmp_path).abandoned  # not waited for: it exists, if only as a zombie
    child.wait()
    assert look(tmp_path).abandoned
    assert "type the same command to continue" in text(look(tmp_path))
    with lock(write(tmp_path, "zeros", 1, "running")):  # by another process than that which planned it
        assert not look(tmp_path).abandoned
    write_plan(tmp_path, folder_name(), pid=child.pid, host="elsewhere")
    assert not look(tmp_path).abandoned


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_sweep_of_another_user_is_not_taken_for_dead(tmp_path: Path) -> None:
    """Its process exists, though this user may not send it a signal."""
    write_plan(tmp_path, folder_name(), pid=os.getpid(), host=os.uname().nodename)
    tmp_path.chmod(0o755)
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from initbench.status.study import Study\n"
        "Study(Path()).plan()\n"  # everything is imported before: the folders of Python may not be theirs to read
        "os.setuid(54321)\n"
        "print(Study(Path()).plan().abandoned)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True) == "False\n"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"running"',
        "{}",
        '{"status": "running"}',
        "\x00\xff",
        '{"config": {"model": 3}}',
        "[" * 200_000,
    ],
)
def test_what_is_no_record_is_counted_and_harms_nothing(tmp_path: Path, content: str) -> None:
    write(tmp_path)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "record.json").write_text(content)
    (tmp_path / "folder" / "record.json").mkdir(parents=True)
    (tmp_path / "index.html").touch()
    (tmp_path / "empty").mkdir()
    summary = look(tmp_path)
    assert summary.unreadable == ["folder", "foreign"]
    assert summary.counts.total() == 1
    assert "2 record.json could not be read: folder, ..." in text(summary)


def test_numbers_that_are_none_make_a_record_unreadable(tmp_path: Path) -> None:
    for index, wrong in enumerate([{"steps": "many"}, {"started_at": 3}, {"started_at": "noon"}, {"results": [1]}]):
        write(tmp_path, "zeros", index, **wrong)
    write(tmp_path, "zeros", 9, **{"results": {"val/best_accuracy": None}})  # NaN is written as null
    write(tmp_path, "zeros", 10, status="exploded")  # of a later version
    summary = look(tmp_path)
    assert len(summary.unreadable) == 4
    assert "1 finished, 1 exploded" in text(summary)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"runs": 3}', '{"runs": [1, [2]]}', '{"runs": [], "sweep": Infinity}']
)
def test_a_torn_plan_is_none(tmp_path: Path, content: str) -> None:
    write(tmp_path)
    write_plan(tmp_path)
    (tmp_path / ".sweep" / "plan.json").write_text(content)
    assert look(tmp_path).planned is None


def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    folder = write(tmp_path, best=0.5)
    study = Study(tmp_path)
    assert study.read().runs[0].best == 0.5
    path = folder / "record.json"
    before = path.stat()
    path.write_text(json.dumps(record(best=0.6)))  # into the same file, which then looks as if untouched
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert study.read().runs[0].best == 0.5
    write(tmp_path, best=0.7)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # replaced within a tick of a coarse clock
    assert study.read().runs[0].best == 0.7
    path.unlink()
    assert study.read().runs == []


def test_what_an_interrupted_run_took_is_its_training(tmp_path: Path) -> None:
    made = record(took=10, ago=9999, resumed_at=[iso(20)], finished_at=iso(10))
    seen = from_record(made, "folder")
    assert (seen.seconds, seen.since) == (10, NOW - 20)


def test_a_run_is_under_way_since_it_was_resumed_last(tmp_path: Path) -> None:
    made = record(status="running", ago=9999, resumed_at=[iso(300), iso(20)])
    seen = from_record(made, "folder")
    assert seen.since == NOW - 20
    assert seen.begun[2] == 2
