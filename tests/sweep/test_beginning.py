"""What is refused before a sweep's first job, and what has begun with it."""

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from initbench.errors import UserMistake
from initbench.record.sweep_id import SWEEP_VARIABLE
from initbench.status import live
from initbench.sweep import start as module
from initbench.sweep.start import _overrides, _refuse_several_studies, start


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No view; what one was asked for. The id of a sweep that begins is forgotten with the test."""
    asked: list[Any] = []
    monkeypatch.setattr(live, "start", lambda config, preload: asked.append((config.study, preload)))
    monkeypatch.setattr(module, "begun", [])
    monkeypatch.setenv(SWEEP_VARIABLE, "")
    monkeypatch.setenv("COLUMNS", "300")
    return asked


def test_a_sweep_that_begins_has_an_id_a_study_and_a_view(compose: Any, quiet: list[Any], tmp_path: Path) -> None:
    _, master = compose("init=zeros,ones", "study=depth")
    sweep = start(master)
    assert sweep == os.environ[SWEEP_VARIABLE] != ""
    assert module.begun == [tmp_path / "depth"]
    assert quiet == [("depth", "initbench.report.write")]


def test_a_dry_run_has_no_view(compose: Any, quiet: list[Any]) -> None:
    _, master = compose("dry_run=true")
    assert start(master)
    assert quiet == []


def test_a_folder_of_a_file_is_expanded(compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _, master = compose("study=depth")
    master.runs_dir = "~/mine"
    start(master)
    assert master.runs_dir == str(tmp_path / "mine")
    assert module.begun == [tmp_path / "mine" / "depth"]


@pytest.mark.parametrize(
    "typed, said",
    [
        (["study=a,b"], "study cannot be swept over: the runs of a sweep are compared, so they share a study"),
        (["force=true,false"], "force cannot be swept over: it says what to do with the whole sweep"),
        (["until=sure,null"], "until cannot be swept over: it says how seeds are added in the whole sweep"),
        (["race.level=0.1,0.2"], "race.level cannot be swept over: it says how seeds are added in the whole sweep"),
        (["report.margin=1,2"], "report.margin cannot be swept over: a study has one report"),
        (["hydra.launcher=3"], "hydra.launcher=3 sets a key; an option is chosen by hydra/launcher=..."),
        (["hydra.sweeper=3"], "hydra.sweeper=3 sets a key; an option is chosen by hydra/sweeper=..."),
        (["hydra/sweeper=basic", "until=sure"], "until=sure decides itself what is run next: it is not for another "),
        (["report.margin=-1"], "report.margin "),
    ],
)
def test_a_sweep_that_makes_no_sense_is_one_line_and_exit_code_2(
    typed: list[str], said: str, compose: Any, quiet: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    swept = [word for word in typed if "," in word]
    _, master = compose(*(word for word in typed if word not in swept))
    master.hydra.overrides.task = [*master.hydra.overrides.task, *swept]
    with pytest.raises(SystemExit) as ended:
        start(master)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"initbench: {said}")
    assert os.environ[SWEEP_VARIABLE] == ""
    assert module.begun == quiet == list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["runs_dir", "hydra.sweep.dir"])
def test_where_nothing_can_be_written_nothing_begins(
    key: str, compose: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    _, master = compose()
    OmegaConf.update(master, key, str(tmp_path / "file" / "below"))
    with pytest.raises(SystemExit):
        start(master)
    assert f"{key} '{tmp_path}/file/below' is not writable" in capsys.readouterr().err


def test_what_a_file_sweeps_over_counts_as_typed() -> None:
    hydra = OmegaConf.create(
        {"overrides": {"task": ["init=zeros"]}, "sweeper": {"params": {"study": "a,b", "seed": 3}}}
    )
    assert _overrides(hydra) == ["init=zeros", "study=a,b", "seed=3"]
    with pytest.raises(ValueError, match="study cannot be swept over"):
        _refuse_several_studies(_overrides(hydra))
    hydra.sweeper.params = None
    assert _overrides(hydra) == ["init=zeros"]
    hydra.sweeper.params = "seed=3"
    with pytest.raises(ValueError, match=r"hydra\.sweeper\.params must be a mapping"):
        _overrides(hydra)


def test_what_is_set_once_or_swept_over_within_runs_is_fine() -> None:
    _refuse_several_studies(["study=a", "force=true", "report.margin=1", "seed=0,1", "model=mlp,lenet", "racer=1,2"])


@pytest.mark.parametrize(
    "line, said",
    [
        ("seed=range(0)", r"seed=range\(0\) has no values, so there is nothing to run"),
        ("optimizer.lr=interval(0,3)", r"interval\(0,3\) is an interval; .* values, such as optimizer.lr=1,2,4"),
        ("seed=range(1,5,0)", r"seed=range\(1,5,0\): "),
    ],
)
def test_values_that_are_none_are_explained(line: str, said: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with pytest.raises(UserMistake, match=said):
        module.check_values(OverridesParser.create().parse_overrides(["init=a,b", line, "model=x"]))


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_a_search_would_try_is_told_by_no_dry_run(
    dry_run: bool, compose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, master = compose(f"dry_run={dry_run}".lower())
    OmegaConf.update(master, "hydra.sweeper.direction", "maximize", force_add=True)
    if dry_run:
        with pytest.raises(SystemExit):
            start(master)
        assert "dry_run cannot tell what this sweeper will try" in capsys.readouterr().err
    else:
        assert start(master)
