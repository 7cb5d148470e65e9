"""`python -m initbench.report`, as it is typed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from frames import record
from studies import write_study

from initbench.report.__main__ import main


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "initbench.report", *map(str, arguments)]


def test_a_study_becomes_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_study(tmp_path / "s", *(record(init, n, 0.8) for init in "ab" for n in (0, 1)))
    main([str(study)])
    said = capsys.readouterr().out
    assert said.startswith("a and b have the same mean test accuracy")
    assert said.strip().endswith(f"Report: {study / 'report' / 'index.html'}")
    written = {path.name for path in (study / "report").iterdir()}
    assert written == {"index.html", "plotly.min.js", "report.md", "results.csv", "figures"}
    results = pd.read_csv(study / "report" / "results.csv")
    assert results.groupby("init")["score"].mean().tolist() == [0.8, 0.8]


def test_what_is_missing_is_said_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(write_study(tmp_path / "s", record("a", 0), record("b", 0, status="failed")))])
    assert "1 run failed, and not part of any number here." in capsys.readouterr().out


def test_two_studies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [record(init, seed, 0.7) for init in ("a", "b", "only_here") for seed in range(8)]
    after = [record(init, seed, mean) for init, mean in (("a", 0.9), ("b", 0.7)) for seed in range(8)]
    main([str(write_study(tmp_path / name, *runs)) for name, runs in (("before", before), ("after", after))])
    said = capsys.readouterr().out
    assert said.startswith("From before to after: better: a (+20.00 points in 8 pairs")  # p = 2 / 2^8, of two
    page = (tmp_path / "report-before-after" / "index.html").read_text()
    assert "the same: b." in said
    for init in ("a @ before", "a @ after", "only_here"):
        assert f'data-init="{init}"' in page
    assert "only_here @" not in page


def test_into_a_folder_of_ones_choice(tmp_path: Path) -> None:
    main([str(write_study(tmp_path / "s", record("a", 0))), "--output", str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    assert not (tmp_path / "s" / "report").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["runs/dmo"], "there is no folder 'runs/dmo'. Did you mean 'runs/demo'?"),
        (["nowhere/x"], "there is no folder 'nowhere/x'."),
        (["runs/empty"], "runs/empty holds no record of a run"),
        (["runs/torn"], "runs/torn/0000/record.json is no record of a run (Expecting value"),
        (["runs/demo", "--wandb", "project"], "'project' is no project of wandb: entity/project is needed"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    write_study(tmp_path / "runs" / "demo", record("a", 0))
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / "torn" / "0000").mkdir(parents=True)
    (tmp_path / "runs" / "torn" / "0000" / "record.json").touch()
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"initbench: {words}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs" / "demo" / "report").exists()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def watched(study: Path) -> Iterator[list[str]]:
    """The study is watched inside, until Ctrl-C; then the list has what was said."""
    said: list[str] = []
    with subprocess.Popen(command(study, "--watch"), stdout=subprocess.PIPE, text=True) as watching:
        try:
            yield said
            watching.send_signal(signal.SIGINT)
            said.append(watching.communicate(timeout=60)[0])
        finally:
            watching.kill()
    assert watching.returncode == 0


def test_a_watched_study_is_written_again_as_records_arrive(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("first", 0))
    page = study / "report" / "index.html"
    with watched(study) as said:
        until(page.exists)
        assert 'http-equiv="refresh"' in page.read_text()
        assert 'data-init="second"' not in page.read_text()
        write_study(study, record("first", 0), record("second", 0))
        until(lambda: 'data-init="second"' in page.read_text())
    assert said[0].startswith("1 run: ")
    assert 'http-equiv="refresh"' not in page.read_text()  # the last one stays as it is
    assert (study / "report" / "report.md").exists()


def test_a_watch_may_begin_before_the_first_record(tmp_path: Path) -> None:
    study = tmp_path / "s"
    study.mkdir()
    with watched(study):
        time.sleep(1)
        write_study(study, record("first", 0))
        until((study / "report" / "index.html").exists)
