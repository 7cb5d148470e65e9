"""The exit code of a sweep: by what became of its own runs, whatever an earlier sweep left in the study."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from records import write_plan

from initbench.record.store import Store
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
    assert exit_code(small, [("now", status) for status in statuses]) == code


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
