"""How a sweep ends: its exit code, by what became of its own runs and not of an earlier sweep's, and what is said."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from records import write_plan

from initbench.record.lock import lock
from initbench.record.store import Store
from initbench.sweep import summary
from initbench.sweep.summary import end


def exit_code(small: Any, runs: list[tuple[str, str]]) -> Any:
    """The exit code of the sweep "now", in a study of runs (sweep, status)."""
    for seed, (sweep, status) in enumerate(runs):
        parts: dict[str, Any] = {"reason": "why"} if status in ("failed", "refused") else {}
        if status == "finished":
            parts = {"results": {"test/accuracy": 0.5, "val/accuracy": 0.5}}
        Store(small(f"seed={seed}")).write(status, sweep=sweep, **parts)
    config = OmegaConf.create({key: small()[key] for key in ("runs_dir", "study", "report")})
    try:
        end(config, "now")
    except SystemExit as ended:
        return ended.code
    return 0


def now(*statuses: str) -> list[tuple[str, str]]:
    """Runs of the sweep "now"."""
    return [("now", status) for status in statuses]


@pytest.mark.parametrize(
    "statuses, code",
    [
        (["finished"], 0),
        (["finished", "interrupted"], 0),
        (["finished", "refused"], 2),
        (["finished", "failed"], 1),
        (["refused", "failed"], 1),
    ],
)
def test_a_failure_is_1_and_a_refusal_2(statuses: list[str], code: int, small: Any) -> None:
    assert exit_code(small, now(*statuses)) == code


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_what_an_earlier_sweep_left_changes_nothing(status: str, small: Any, tmp_path: Path) -> None:
    assert exit_code(small, [("now", "finished"), ("before", status)]) == 0


def test_a_run_whose_files_must_stay_as_they_are_is_refused(small: Any) -> None:
    """A later initbench has written its record, which is left alone."""
    newer = Store(small("seed=1")).folder
    newer.mkdir(parents=True)
    (newer / "record.json").write_text('{"schema": 1000}')
    write_plan(newer.parent, Store(small("seed=0")).folder.name, newer.name, sweep="now")
    assert exit_code(small, [("now", "finished")]) == 2


@pytest.mark.parametrize(
    "other, plan, code",
    [
        (None, {"sweep": "now"}, 1),
        (None, {"sweep": "before"}, 0),
        (("before", "failed"), {"sweep": "now"}, 1),
        (("before", "interrupted"), {"sweep": "now"}, 1),
        (("before", "finished"), {"sweep": "now"}, 0),  # there was nothing to do
        (("before", "finished"), {"sweep": "now", "force": True}, 1),
    ],
)
def test_a_run_that_was_planned_and_never_began_is_a_failure(
    other: tuple[str, str] | None, plan: dict[str, Any], code: int, small: Any
) -> None:
    folders = [Store(small(f"seed={seed}")).folder for seed in (0, 1)]
    write_plan(folders[0].parent, *(folder.name for folder in folders), **plan)
    assert exit_code(small, [("now", "finished"), *([other] if other else [])]) == code


@pytest.fixture
def folders(small: Any) -> list[Path]:
    return [Store(small(f"seed={seed}")).folder for seed in range(4)]


@pytest.fixture
def without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "_conclude", lambda study, report: "")


@pytest.mark.usefixtures("without_tables")
def test_the_end_counts_what_went_wrong_and_says_where_to_look(
    small: Any, folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = folders[0].parent
    assert exit_code(small, now("interrupted", "refused", "refused", "failed")) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"1 run interrupted; its record under {study} says why",
        f"2 runs refused; their records under {study} say why",
        f"1 run failed; its record under {study} says why",
    ]


@pytest.mark.usefixtures("without_tables")
def test_runs_that_never_started_are_counted_and_those_that_somebody_is_at_are_not(
    small: Any, folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = folders[0].parent
    study.mkdir(parents=True)
    write_plan(study, *(folder.name for folder in folders), sweep="now")
    assert exit_code(small, now("finished")) == 1
    assert capsys.readouterr().err == (
        "3 runs were never started because a process died; the same command tries again\n"
    )
    with lock(folders[1]), lock(folders[2]), lock(folders[3]):
        assert exit_code(small, now("finished")) == 0
    with lock(folders[1]), lock(folders[2]):
        assert exit_code(small, now("finished")) == 1
    assert capsys.readouterr().err == ("1 run was never started because a process died; the same command tries again\n")


@pytest.mark.usefixtures("without_tables")
def test_runs_of_other_processes_are_waited_for_by_nobody(
    small: Any, folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with lock(folders[1]):
        assert exit_code(small, now("finished", "running")) == 0
    assert "other processes are training some of the runs" in capsys.readouterr().out
    assert exit_code(small, now("finished", "running")) == 1  # its process is gone
    found = Store(small("seed=1")).read()
    assert found is not None
    assert found["status"] == "failed"


@pytest.mark.parametrize("error, said", [(OSError("odd"), "summarizing them failed"), (KeyError("a"), "KeyError: 'a'")])
def test_a_summary_that_fails_is_an_exit_code_too(
    error: Exception, said: str, small: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(study: Path, report: Any) -> str:
        raise error

    monkeypatch.setattr(summary, "_conclude", fail)
    assert exit_code(small, now("finished")) == 1
    assert said in capsys.readouterr().err


def test_an_empty_study_has_neither_tables_nor_a_page(small: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study = Store(small()).folder.parent
    study.mkdir(parents=True)
    assert exit_code(small, []) == 0
    assert capsys.readouterr() == ("", "")
    assert not (study / "report").exists()
