"""What is no record of a run is named by the key that is wrong; nothing overwrites what may be worth keeping."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import record

from initbench.analysis.loading.frame import load_history, load_runs
from initbench.errors import UserMistake
from initbench.record.damage import SCHEMA, Damaged, NewerRecord, check_record, readable
from initbench.record.lock import lock
from initbench.record.store import read_record, write_record
from initbench.status.study import Study

REAL = record("a", 0, provenance={"hostname": "x", "versions": {"torch": "2"}, "git": {"commit": "1"}, "command": "c"})
ODD = [None, True, 3, 2.5, "x", [], {}, [1], {"a": 1}, 10**400, float("inf"), float("nan"), "\ud800"]


def test_a_record_is_one() -> None:
    check_record(REAL)
    check_record({**REAL, "status": "running", "results": {}, "targets": {}, "reason": None})


@pytest.mark.parametrize(
    "parts, words",
    [
        ({"init": 3}, "init is 3, not text"),
        ({"started_at": "noon"}, "Invalid isoformat"),
        ({"results": {"test/accuracy": 88.4}}, "results.test/accuracy is 88.4, not a share of 0 to 1"),
        ({"results": {"val/loss": "x"}}, "results.val/loss is 'x', not a finite number"),
        ({"results": {"val/loss": 10**400}}, "results.val/loss is 1000"),
        ({"targets": {"0.5": {"reached": True, "steps": float("inf"), "seconds": 1}}}, "targets.0.5.steps is inf"),
        ({"provenance": {"command": 7}}, "provenance.command is 7, not text"),
        ({"config": {"model": 3}}, "config.init is None, not a mapping"),
        ({"results": [1]}, r"results is \[1\], not a mapping"),
    ],
)
def test_the_key_is_named(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        check_record({**REAL, **parts})
    assert len(str(error.value)) < 150


def places(node: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = (
        [place for key, value in node.items() for place in places(value, (*path, key))]
        if isinstance(node, dict)
        else []
    )
    return [path, *below] if path else below


@pytest.mark.parametrize("path", places(REAL), ids=".".join)
def test_whatever_stands_in_a_place_all_read_it_or_none(path: tuple[str, ...], tmp_path: Path) -> None:
    for number, odd in enumerate(ODD):
        damaged = copy.deepcopy(REAL)
        parent: Any = damaged
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = odd
        run = tmp_path / str(number) / "run"
        run.mkdir(parents=True)
        (run / "record.json").write_text(json.dumps(damaged))
        try:
            read_record(run)
            reasons = []
        except Damaged as reason:
            reasons = str(reason).splitlines()
        runs = load_runs(run.parent)
        assert (len(runs), runs.attrs["unreadable"]) == (1 - len(reasons), reasons)
        seen = Study(run.parent).read()
        assert (len(seen.runs), seen.unreadable) == (1 - len(reasons), ["run"] * len(reasons))


def test_a_record_that_cannot_be_read_is_set_aside_before_one_is_written(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    for number, content in enumerate((b"{", b"", b"\xff"), 1):
        (tmp_path / "record.json").write_bytes(content)
        with pytest.raises(Damaged, match="the next sweep that has this run sets the file aside and runs it again"):
            read_record(tmp_path)
        write_record(tmp_path, {**REAL, "seed": number})
        assert (read_record(tmp_path) or {})["seed"] == number
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "record.json"}
    assert kept == {"record.json.damaged": b"{", "record.json.damaged.2": b"", "record.json.damaged.3": b"\xff"}


def test_a_newer_record_is_not_overwritten(tmp_path: Path) -> None:
    newer = json.dumps({"schema": SCHEMA + 1})
    (tmp_path / "record.json").write_text(newer)
    with pytest.raises(NewerRecord, match="upgrade initbench, or choose another study=") as refused:
        write_record(tmp_path, REAL)
    assert isinstance(refused.value, UserMistake)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("record.json", newer)]


def test_each_file_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "record.json").write_text("[1]")
    for _ in range(3):
        assert readable(read_record, tmp_path) is None
    reason = "it is [1], not a mapping"
    assert capsys.readouterr().err.startswith(f"initbench: {tmp_path / 'record.json'} cannot be read ({reason}): the ")


@pytest.mark.parametrize("content", [b"", b"PAR1", {"step": ["x"], "other": [1]}])
def test_a_table_is_read_or_named(content: bytes | dict[str, list[Any]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert load_history(run).empty
    write_record(run, {**REAL, "status": "running"})
    file = run / "history.parquet"
    if isinstance(content, bytes):
        file.write_bytes(content)
        with pytest.raises(Damaged, match=re.escape(f"{file} cannot be read (")):
            load_history(run)
    else:
        pd.DataFrame(content).to_parquet(file)
        assert list(load_history(run)) == list(content)
    with lock(run):  # under way: status looks for the latest step
        (seen,) = Study(tmp_path).read().runs
    assert seen.step is None
