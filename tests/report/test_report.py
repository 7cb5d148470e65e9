"""`python -m initbench.report`, as it is typed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import record
from records import write_plan
from studies import write_study

from initbench.report.__main__ import main

WRITTEN = {"index.html", "plotly.min.js", "report.md", "verdict.json", "results.csv", "pairs.csv", "figures"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "initbench.report", *map(str, arguments)]


def test_a_study_becomes_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_study(tmp_path / "s", *(record(init, n, 0.8) for init in "ab" for n in (0, 1)))
    main([str(study)])
    said = capsys.readouterr().out
    assert said.startswith("a and b have the same score in every run.")
    assert said.strip().endswith(f"Report: {study / 'report' / 'index.html'}")
    written = {path.name for path in (study / "report").iterdir()}
    assert written == WRITTEN
    results = pd.read_csv(study / "report" / "results.csv")
    assert set(results["metric"]) == {"accuracy"}
    assert results.groupby("init")["score"].mean().tolist() == [0.8, 0.8]


def test_figures_are_of_ten_workloads_unless_all_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("initbench.report.write.FIGURES_OF", 1)
    runs = [record(init, n, 0.8, model={"name": model}) for model in ("mlp", "vgg") for init in "ab" for n in (0, 1)]
    study = write_study(tmp_path / "s", *runs)
    said, drawn = [], []
    for options in ([], ["--all-figures"]):
        main([str(study), *options])
        said.append(capsys.readouterr().out)
        drawn.append(sorted(path.stem for path in (study / "report" / "figures").glob("*.pdf")))
    assert "figures/ has the plots of the first 1 of 2 workloads; --all-figures draws the rest" in said[0]
    assert "figures/" not in said[1]
    assert set(drawn[0]) < set(drawn[1])
    assert [sum("vgg" in name or "mlp" in name for name in names) for names in drawn] == [2, 4]


def test_what_is_missing_is_said_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(write_study(tmp_path / "s", record("a", 0), record("b", 0, status="failed")))])
    assert "1 run failed and is excluded." in capsys.readouterr().out


def test_two_studies_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [record(init, seed, 0.7) for init in ("a", "b", "only_here") for seed in range(8)]
    after = [record(init, seed, mean) for init, mean in (("a", 0.9), ("b", 0.7)) for seed in range(8)]
    main([str(write_study(tmp_path / name, *runs)) for name, runs in (("before", before), ("after", after))])
    said = capsys.readouterr().out
    assert said.startswith("From before to after, a (+20.00 points over 8 pairs")  # p = 2 / 2^8, of two
    page = (tmp_path / "report-before-after" / "index.html").read_text()
    assert "b has the same score in every run." in said
    for init in ("a @ before", "a @ after", "only_here"):
        assert f'data-init="{init}"' in page
    assert "only_here @" not in page


def test_studies_of_the_same_name_are_told_apart_by_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = []
    for name, mean in (("old", 0.7), ("new", 0.9)):
        runs = [record("a", seed, mean + seed / 1000) for seed in range(8)]
        studies.append(str(write_study(tmp_path / name / "main", *runs)))
    main([*studies, "--output", str(tmp_path / "report")])
    assert capsys.readouterr().out.startswith("From old/main to new/main, a (+20.00 points over 8 pairs")
    with pytest.raises(ValueError, match="main is named twice"):
        main([studies[0], studies[0]])


def test_the_reference_of_the_plan_may_not_have_run_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_study(tmp_path / "s", *(record(init, n, 0.8 + n / 100) for init in "ab" for n in range(6)))
    write_plan(study, report={"margin": None, "reference": "mine"})
    main([str(study)])
    assert "Not compared: mine (the reference; no run of it has a score)." in capsys.readouterr().out


def test_into_a_folder_of_ones_choice(tmp_path: Path) -> None:
    main([str(write_study(tmp_path / "s", record("a", 0))), "--output", str(tmp_path / "elsewhere")])
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    assert not (tmp_path / "s" / "report").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["runs/dmo"], "there is no folder 'runs/dmo'. Did you mean 'runs/demo'?"),
        (["nowhere/x"], "there is no folder 'nowhere/x'."),
        (["runs/empty"], "runs/empty has no records of runs"),
        (["runs/demo", "runs/demo"], "{folder}/runs/demo is named twice"),
        (
            ["scores.csv", "runs/demo", "--score", "loss"],
            "only one table can be reported on at a time, and not together",
        ),
        (["runs/demo", "--unit", "%"], "--unit is for a table of scores"),
        (["runs/demo", "--wandb", "project"], "'project' is not a wandb project; give entity/project"),
        (["runs/demo", "--reference", "b"], "unknown reference 'b'. Allowed: a"),
        (["runs/demo", "--margin", "0"], "margin must be a number above 0, got 0.0"),
        (["runs/demo", "--margin", "nan"], "margin must be a number, got nan"),
        (["runs/demo", "--score", "loss"], "--score is for a table of scores"),
        (["scores.csv"], "scores.csv is a table: --score must name its column of scores"),
        (["scores.csv", "--score", "los"], "there is no column 'los'. Did you mean 'loss'? Columns: init, seed, loss"),
        (["scors.csv", "--score", "loss"], "there is no file 'scors.csv'. Did you mean 'scores.csv'?"),
        (["scores.csv", "scores.csv", "--score", "loss"], "only one table can be reported on at a time"),
        (["scores.csv", "--score", "loss", "--watch"], "--watch needs a study"),
        (["scores.csv", "--score", "loss", "--chance", "inf"], "chance must be a number below 1e+50, got inf"),
        (
            ["notes.txt", "--score", "loss"],
            "notes.txt is neither the folder of a study nor a table (.csv, .tsv, .parquet)",
        ),
        (["empty.csv", "--score", "loss"], "the table has no rows"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    write_study(tmp_path / "runs" / "demo", record("a", 0))
    (tmp_path / "scores.csv").write_text("init,seed,loss\na,0,1.5\n")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty.csv").write_text("init,seed,loss\n")
    (tmp_path / "runs" / "empty").mkdir()
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"initbench: {words.replace('{folder}', str(tmp_path))}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs" / "demo" / "report").exists()


def test_a_study_of_which_nothing_can_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "torn" / "0000").mkdir(parents=True)
    (tmp_path / "torn" / "0000" / "record.json").touch()
    done = subprocess.run(command("torn"), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    file, study = done.stderr.splitlines()
    assert file.startswith("initbench: torn/0000/record.json cannot be read (Expecting value")
    assert study == "initbench: torn has no records of runs that can be read"


def write_table(path: Path) -> None:
    """Three methods on two data sets, eight seeds: a validation loss."""
    rng = np.random.default_rng(0)
    rows = [
        (method, data, seed, loss + 0.02 * rng.standard_normal())
        for method, loss in (("mine", 0.4), ("theirs", 0.5), ("old", 0.9))
        for data in ("cifar", "mnist")
        for seed in range(8)
    ]
    pd.DataFrame(rows, columns=["method", "dataset", "seed", "val_loss"]).to_csv(path, index=False)


def test_a_table_of_scores_has_all_that_a_study_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "scores.csv")
    named = ["--score", "val_loss", "--lower-is-better", "--init", "method", "--workload", "dataset"]
    main([str(tmp_path / "scores.csv"), *named])
    said = capsys.readouterr().out
    assert said.startswith("Use mine: it beat every other initializer; ")
    report = tmp_path / "scores-report"
    assert said.strip().endswith(f"Report: {report / 'index.html'}")
    written = {path.name for path in report.iterdir()}
    assert written == WRITTEN
    figures = {path.name for path in (report / "figures").iterdir()}
    assert {"ranking.tex", "pairs.tex", "ranking.svg", "ranking.pdf", "ranks.svg", "ranks.pdf"} <= figures


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", *(record(init, n, 0.8) for init in "ab" for n in (0, 1)))
    done = subprocess.run(command(study, "--json", "--reference", "a"), capture_output=True, text=True, timeout=60)
    content = json.loads(done.stdout)
    assert content == json.loads((study / "report" / "verdict.json").read_text())
    assert content["reference"] == "a"
    assert "Report: " in done.stderr


def test_what_the_latest_sweep_asked_for_is_what_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(tmp_path / "s", *(record(init, n, 0.8 + n / 100) for init in "ab" for n in range(6)))
    write_plan(study, report={"margin": 2.0, "reference": "b"})
    main([str(study), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert (content["margin"], content["reference"]) == (2.0, "b")
    main([str(study), "--json", "--margin", "3"])
    assert json.loads(capsys.readouterr().out)["margin"] == 3.0


def test_pairs_are_a_table_with_those_of_the_reference_corrected_apart(tmp_path: Path) -> None:
    rows = [record(init, n, mean + n / 1000) for init, mean in (("a", 0.9), ("b", 0.8), ("c", 0.7)) for n in range(8)]
    study = write_study(tmp_path / "s", *rows)
    main([str(study), "--reference", "b"])
    pairs = pd.read_csv(study / "report" / "pairs.csv")
    assert pairs["corrected_for"].value_counts().to_dict() == {"all pairs": 3, "reference": 2}
    assert pairs["workloads"].unique().tolist() == ["mlp on mnist, sgd lr 0.1, 100 steps"]
    of_reference = pairs[pairs["corrected_for"] == "reference"].set_index("b")
    assert of_reference["difference"].to_dict() == pytest.approx({"a": -0.1, "c": 0.1})
    assert of_reference["p_holm"].tolist() == pytest.approx([2 * 2 / 2**8] * 2)


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
