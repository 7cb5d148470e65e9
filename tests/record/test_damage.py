"""What is no record of a run is refused by the key that is wrong, and never with another error."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from frames import record

from initbench.analysis.frame import load_runs
from initbench.record.damage import check_record

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
def test_whatever_stands_in_a_place_it_is_read_or_refused_in_one_line(path: tuple[str, ...], tmp_path: Path) -> None:
    for number, odd in enumerate(ODD):
        damaged = copy.deepcopy(REAL)
        parent: Any = damaged
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = odd
        folder = tmp_path / str(number) / "run"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(damaged))
        reason = refusal(folder.parent)
        assert reason is None or "is not a valid record of a run (" in reason
        assert reason is None or len(reason.splitlines()) == 1


def refusal(study: Path) -> str | None:
    try:
        assert len(load_runs(study)) == 1
    except ValueError as error:
        return str(error)
    return None
