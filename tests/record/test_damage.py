"""What is no record of a run is named by the key that is wrong; nothing overwrites what may be worth keeping."""

import copy
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import record

from initbench.analysis.loading.frame import load_history, load_runs
from initbench.errors import UserMistake
from initbench.metric import ACCURACY
from initbench.record.damage import (
    SCHEMA,
    Damaged,
    NewerRecord,
    check_record,
    discard,
    readable,
    set_aside,
)
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


def with_parts(parts: dict[str, Any]) -> dict[str, Any]:
    """REAL with other values, by dotted keys; what is to be ... is left out."""
    made = copy.deepcopy(REAL)
    for path, value in parts.items():
        *above, key = path.split(":")
        node = made
        for name in above:
            node = node[name]
        if value is ...:
            del node[key]
        else:
            node[key] = value
    return made


LOSS = {**asdict(ACCURACY), "name": "mse", "higher_is_better": False, "is_share": False}


@pytest.mark.parametrize(
    "parts",
    [
        {"results:test/accuracy": 0, "results:val/best_accuracy": 1, "results:val/accuracy": 1.0, "steps": 0},
        {"results:test/loss": -2.5, "results:train/accuracy": None},
        {"metric": LOSS, "results": {"test/mse": 88.5, "val/best_mse": -3.0}},
        {"metric": LOSS, "results": {"test/accuracy": 7.0}},
        {"status": "refused", "seed": "one", "config:seed": "one"},
        {"status": "refused", "seed": None, "config:optimizer:lr": "high"},
        {"status": "refused", "seed": True, "config:model:name": 3},
        {"results": {}, "targets": {"0.5": {"reached": False, "steps": None, "seconds": 0}}},
        {"config:source": {"model": None}, "provenance:git": None, "finished_at": None},
        {"config:tuning": {"seeds": ["one", None, 3]}},
        {"config:tuning": None},
        {"provenance": ...},
        {"config:anything": 2**1023 - 1},
    ],
)
def test_what_a_record_may_hold(parts: dict[str, Any]) -> None:
    check_record(with_parts(parts))


@pytest.mark.parametrize(
    "parts, words",
    [
        *[({key: None}, f"{key} is None, not text") for key in ("study", "status", "name", "init", "setting")],
        ({"signature": 3}, "signature is 3, not text"),
        *[({key: 3}, f"{key} is 3, not text") for key in ("reason", "device", "sweep")],
        *[({f"provenance:{key}": 3}, f"provenance.{key} is 3, not text") for key in ("hostname", "processor")],
        ({"provenance:git": {"commit": 3}}, "provenance.git.commit is 3, not text"),
        ({"provenance:versions": {"torch": 3}}, "provenance.versions.torch is 3, not text"),
        ({"config:source": {"init": 3}}, "config.source.init is 3, not text"),
        ({"config:command": ["a"]}, r"config.command is \['a'\], not text"),
        ({"finished_at": "noon"}, "Invalid isoformat"),
        ({"resumed_at": ["noon"]}, "Invalid isoformat"),
        ({"resumed_at": [3]}, "3 is not a date"),
        ({"resumed_at": "2026-01-01"}, "resumed_at is '2026-01-01', not a list"),
        *[
            ({key: -1}, f"{key} is -1, not 0 or more")
            for key in ("total_steps", "steps", "replicas", "seconds_init", "seconds_train", "seconds_compile")
        ],
        ({"seconds_diagnostics": -0.5}, "seconds_diagnostics is -0.5, not 0 or more"),
        ({"results:chance_loss": -1}, "results.chance_loss is -1, not 0 or more"),
        ({"results:ln_classes": -1}, "results.ln_classes is -1, not 0 or more"),
        *[
            ({f"results:{part}accuracy": value}, f"results.{part}accuracy is {value}, not a share of 0 to 1")
            for part in ("val/", "val/best_", "test/")
            for value in (1.01, -0.01)
        ],
        ({"results:val/loss": True}, "results.val/loss is True, not a finite number"),
        ({"targets": {"0.5": {"reached": True, "steps": 1}}}, "targets.0.5 is .*, not reached, steps and seconds"),
        ({"targets": {"0.5": {"reached": True, "steps": 1, "seconds": -1}}}, "targets.0.5.seconds is -1, not 0 or"),
        ({"targets": {"-1": {"reached": True, "steps": 1, "seconds": 1}}}, "targets.-1 is -1.0, not 0 or more"),
        ({"targets": {"soon": {"reached": True, "steps": 1, "seconds": 1}}}, "could not convert"),
        ({"seed": "one"}, "seed is 'one', not a finite number"),
        ({"seed": True}, "seed is True, not a finite number"),
        ({"status": "refused", "config:optimizer:lr": float("inf")}, "config.optimizer.lr is inf, not a finite number"),
        ({"status": "refused", "config:model:name": float("nan")}, "config.model.name is nan, not a finite number"),
        ({"config:tuning": {"seeds": [[1]]}}, r"config.tuning.seeds is \[\[1\]\], not a list of numbers"),
        ({"config:tuning": {"seeds": 3}}, "config.tuning.seeds is 3, not a list"),
        *[({f"config:{group}": 3}, f"config.{group} is 3, not a mapping") for group in ("init", "data", "optimizer")],
        ({"config:trainer": ...}, "config.trainer is None, not a mapping"),
        *[({f"config:{key}": ...}, f"config.{key} is missing") for key in ("seed", "scheduler")],
        *[
            ({f"config:{group}:name": ...}, f"config.{group}.name is missing")
            for group in ("init", "model", "data", "optimizer")
        ],
        ({"metric": {**asdict(ACCURACY), "name": 3}}, "metric.name is 3"),
        ({"schema": True}, "schema is True, not a whole number"),
        ({"schema": 0}, "schema is 0, not 1"),
        ({"schema": ...}, "schema is None, not a whole number"),
        ({"config:anything": 2**1023}, "a number in it is larger than a float can be"),
        ({"config:anything": [{"deep": [-(2**1024)]}]}, "a number in it is larger than a float can be"),
    ],
)
def test_each_key_of_a_record_is_checked(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        check_record(with_parts(parts))


@pytest.mark.parametrize(
    "content, reason",
    [
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": -Infinity}', "-Infinity is no JSON"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"a": "\\uD800"}', "surrogates not allowed"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": 1, "a":' + '{"a":' * 70 + "1" + "}" * 71, "nested too deeply"),
    ],
)
def test_what_is_no_json_of_ours_is_damage(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(Damaged, match=rf"record\.json cannot be read \(.*{reason}.*\): the next sweep"):
        read_record(tmp_path)


def test_a_link_to_nothing_is_damage_and_no_file_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path / "nothing") is None
    (tmp_path / "file").write_text("")
    assert read_record(tmp_path / "file") is None
    (tmp_path / "record.json").symlink_to("nowhere")
    with pytest.raises(Damaged, match="it links to nothing"):
        read_record(tmp_path)


def test_only_files_and_links_are_deleted_and_the_rest_is_set_aside(tmp_path: Path) -> None:
    file, link, folder, to_folder = (tmp_path / name for name in ("file", "link", "folder", "to_folder"))
    file.write_text("")
    link.symlink_to("nowhere")
    folder.mkdir()
    to_folder.symlink_to(folder)
    for path in (to_folder, file, link, folder, tmp_path / "nothing"):
        discard(path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.damaged"]


def test_nothing_that_was_set_aside_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.damaged").symlink_to("nowhere")
    (tmp_path / "a.damaged.2").write_text("second")
    (tmp_path / "a").write_text("third")
    assert set_aside(tmp_path / "a") == tmp_path / "a.damaged.3"
    assert (tmp_path / "a.damaged").is_symlink()
    assert (tmp_path / "a.damaged.2").read_text() == "second"
    assert (tmp_path / "a.damaged.3").read_text() == "third"
