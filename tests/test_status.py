"""What a study's records come to, and how it looks: on records made by hand, a real one, and as people type it."""

import json
import os
import pty
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from records import NOW, folder_name, iso, record, write, write_plan
from rich.console import Console

from initbench.record.lock import lock
from initbench.run import run
from initbench.status.run import from_record
from initbench.status.study import DIED, Study
from initbench.status.summary import Summary, summarize
from initbench.status.view import clock, duration, glance, line, overview

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def look(study: Path, at_once: int = 0) -> Summary:
    return summarize(Study(study).read(), NOW, at_once)


def text(summary: Summary, width: int = 80, height: int | None = None) -> str:
    """The overview, or the glance where there is a height."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(glance(summary, NOW, console) if height else overview(summary, NOW, width))
    return capture.get()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "initbench.status", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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


def test_runs_are_counted_by_setting_and_initializer(tmp_path: Path) -> None:
    for seed, best in enumerate([0.8, 0.9, 0.7]):
        write(tmp_path, "zeros", seed, best=best)
        write(tmp_path, "orthogonal", seed, best=best + 0.05)
    write(tmp_path, "zeros", 3, "diverged", best=0.99)  # it did not get there and stay
    write(tmp_path, "zeros", 4, "failed")
    write(tmp_path, "zeros", 5, "refused")
    write(tmp_path, "zeros", 6, "interrupted")
    write(tmp_path, "zeros", 0, setting="another000", lr=None)
    summary = look(tmp_path)
    first, another = sorted(summary.settings, key=lambda setting: -len(setting.rows))
    assert first.title == "lenet on mnist, sgd lr 0.1, 100 steps"
    assert another.title == "lenet on mnist, sgd, 100 steps"
    assert [row.init for row in first.rows] == ["orthogonal", "zeros"]
    zeros = first.rows[1]
    assert dict(zeros.counts) == {"finished": 3, "diverged": 1, "failed": 1, "refused": 1, "interrupted": 1}
    assert (zeros.median, zeros.best) == (0.8, 0.9)
    assert summary.counts["finished"] == 7
    assert summary.planned is None


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


def test_where_nobody_may_ask_the_record_is_believed(tmp_path: Path) -> None:
    folder = write(tmp_path, status="running")
    (tmp_path / ".locks" / f"{folder.name}.lock").mkdir(parents=True)  # cannot be opened
    assert look(tmp_path).counts["running"] == 1


def test_what_is_planned_and_has_no_record_of_this_sweep_waits(tmp_path: Path) -> None:
    statuses = ("finished", "failed", "interrupted", "running")
    old = [write(tmp_path, "zeros", seed, status).name for seed, status in enumerate(statuses)]
    absent = folder_name("zeros", 4)
    write_plan(tmp_path, *old, absent)
    _written(tmp_path, before_plan=old)
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
    write_plan(tmp_path, *old, absent, force=True)
    _written(tmp_path, before_plan=old)
    assert look(tmp_path).counts == {"failed": 1, "waiting": 5}


def _written(study: Path, before_plan: list[str]) -> None:
    written = (study / ".sweep" / "plan.json").stat().st_mtime - 5
    for name in before_plan:
        os.utime(study / name / "record.json", (written, written))


def test_a_sweep_that_has_ended_leaves_its_runs_to_the_next(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    write_plan(tmp_path, folder_name(), pid=child.pid, host=os.uname().nodename)
    assert not look(tmp_path).abandoned  # not waited for: it exists, if only as a zombie
    child.wait()
    assert look(tmp_path).abandoned
    assert "the same command goes on" in text(look(tmp_path))
    write_plan(tmp_path, folder_name(), pid=child.pid, host="elsewhere")
    assert not look(tmp_path).abandoned


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"running"', "{}", '{"status": "running"}', "\x00\xff", '{"config": {"model": 3}}'],
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


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"runs": 3}', '{"runs": [1, [2]]}'])
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
    assert "no run of this kind is complete" in text(look(tmp_path))
    write(tmp_path, "orthogonal", 0, took=12)
    assert "nothing is running; a run takes about 12 s" in text(look(tmp_path))
    assert "1 at once, about 12 s each, 5 a minute: about 12 s left" in text(look(tmp_path, 1))
    with lock(write(tmp_path, "orthogonal", 2, "running")):
        (tmp_path / ".sweep" / "plan.json").unlink()
        assert "how many are to come is not known" in text(look(tmp_path), 120)


def test_what_an_interrupted_run_took_is_its_training(tmp_path: Path) -> None:
    made = record(took=10, ago=9999, resumed_at=[iso(20)], finished_at=iso(10))
    seen = from_record(made, "folder", 0)
    assert (seen.seconds, seen.since) == (10, NOW - 20)


def test_reasons_are_told_once_each(tmp_path: Path) -> None:
    for seed in range(5):
        write(tmp_path, "zeros", seed, "failed", reason="MemoryError: no [room]\nsecond line")
    for seed in range(20):
        write(tmp_path, "ones", seed, "refused", reason=f"seed {seed} is odd")
    summary = look(tmp_path)
    assert len(summary.troubles[0].folders) == 5
    shown = text(summary)
    assert shown.count("MemoryError: no [room]") == 1
    assert "second line" not in shown
    assert "5 failed: " in shown
    assert shown.count("1 refused: ") == 9
    assert "and 11 reasons more" in shown


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A study with something of everything, and long names."""
    for index in range(30):
        init = f"orthogonal(gain={index}.5,mode=fan_in)"
        for setting in ("first00000", "second0000"):
            write(tmp_path, init, 0, setting=setting, best=index / 30)
            write(tmp_path, init, 1, "diverged", setting=setting)
            write(tmp_path, init, 2, "failed", setting=setting, reason="x" * 200)
    return tmp_path


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_keep_their_numbers(busy: Path, width: int) -> None:
    shown = text(look(busy), width)
    assert max(map(len, shown.splitlines())) <= width
    for head in ("val median", "best", "finished", "diverged", "failed"):
        assert head in shown
    assert "0.9667" in shown


def test_a_narrow_table_leaves_out_what_the_totals_say(tmp_path: Path) -> None:
    for seed, status in enumerate(["finished", "diverged", "failed", "refused", "interrupted"]):
        write(tmp_path, "kaiming_normal", seed, status)
    with lock(write(tmp_path, "kaiming_normal", 9, "running")):
        summary = look(tmp_path)
    wide, narrow = text(summary, 120), text(summary, 70)
    assert "│ kaiming_normal │" in wide
    assert "┃ refused ┃" in wide
    assert "┃ refused ┃" not in narrow
    assert "┃ failed ┃" in narrow
    assert "│ kaiming" in narrow
    assert "1 refused" in narrow


@pytest.mark.parametrize("height", [10, 24, 40, 100, 200])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_glance_is_never_higher_than_the_terminal(busy: Path, height: int, width: int) -> None:
    running = [write(busy, f"running{seed}", seed, "running") for seed in range(12)]
    with ExitStack() as held:
        for folder in running:
            held.enter_context(lock(folder))
        summary = look(busy)
    lines = text(summary, width, height).splitlines()
    assert len(lines) <= height
    assert "12 running" in " ".join(lines)
    rows = sum(line.startswith("│") for line in lines)
    left_out = f"and {72 - rows} rows more"
    assert (left_out in lines) == (rows < 72)
    assert rows == 72 or height < 200


@pytest.mark.parametrize(
    "seconds, words",
    [(-1, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (93600, "1 d 2 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_command_shows_it_without_torch_and_pandas(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    study = tmp_path / "runs" / "mine"
    write(study, "zeros")
    folder = write(study, "ones", status="running")
    parquet.write_table(pa.table({"step": [1]}), folder / "history.parquet")
    code = (
        "import sys, runpy; sys.argv = ['status', 'runs/mine']\n"
        "runpy.run_module('initbench.status', run_name='__main__')\n"
        "print('HEAVY', [name for name in ('torch', 'pandas', 'lightning', 'hydra', 'scipy') if name in sys.modules])\n"
    )
    with lock(folder):
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
    assert "2 runs: 1 finished, 1 running" in found.stdout
    assert found.stdout.splitlines()[-1] == "HEAVY []"


def test_a_study_that_is_none_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "depth")
    write_plan(tmp_path / "runs" / "width", folder_name())
    (tmp_path / "runs" / "empty").mkdir()
    there = "There are: runs/depth, runs/width"
    for asked, message in (
        ("runs/dept", f"there is no study 'runs/dept'. Did you mean 'runs/depth'? {there}"),
        ("width", f"there is no study 'width'. Did you mean 'runs/width'? {there}"),
        ("runs/empty", "there is no study 'runs/empty'."),
        ("runs", "runs holds studies, not runs; name one of them: runs/depth, runs/width"),
    ):
        found = command(tmp_path, asked)
        assert found.returncode == 2
        assert found.stderr.startswith(f"initbench: {message}")
        assert len(found.stderr.splitlines()) == 1
    begun = command(tmp_path, "runs/width")
    assert begun.returncode == 0
    assert "1 runs: 1 waiting" in begun.stdout


def test_watching_ends_when_all_is_over_and_leaves_the_terminal_clean(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "mine", "zeros")
    write_plan(tmp_path / "runs" / "mine", folder_name("zeros"))
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "initbench.status", "runs/mine", "--watch"]
    with subprocess.Popen(
        program, cwd=tmp_path, env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")  # the cursor is back
    assert "zeros" in shown.decode()


def test_five_thousand_records_take_less_than_three_seconds(tmp_path: Path) -> None:
    for index in range(5000):
        folder = tmp_path / "runs" / "many" / f"run{index}"
        folder.mkdir(parents=True)
        padding = {f"key{number}": {"name": "value", "number": number} for number in range(60)}  # as large as real ones
        made = record(f"init{index % 40}", index // 40, padding=padding)
        (folder / "record.json").write_text(json.dumps(made, indent=1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = command(tmp_path, "runs/many")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "5000 runs: 5000 finished" in found.stdout
    # Of the processor: others may be using it too.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
