"""What may become of the files of a study: each way of damaging one, by its name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Damage = Callable[[Path], object]


def text(content: str | bytes) -> Damage:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    (path / "inside").mkdir(parents=True)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def record(**parts: Any) -> Damage:
    """The same record with other parts; NaN and infinities as Python's json writes them."""
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_bytes()), **parts}))


def results(**parts: Any) -> Damage:
    def damage(path: Path) -> None:
        before = json.loads(path.read_bytes())
        path.write_text(json.dumps({**before, "results": {**before["results"], **parts}}))

    return damage


def table(**columns: Any) -> Damage:
    return lambda path: pd.DataFrame(columns).to_parquet(path)


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


RECORDS: dict[str, Damage] = {
    "a FIFO": fifo,
    "empty": text(""),
    "truncated": half,
    "garbage": text(b"\x00\xff\xfe" * 40),
    "a list": text("[1]"),
    "no keys": text("{}"),
    "null": text("null"),
    "text": text('"running"'),
    "a folder": folder,
    "a link to nothing": dangling,
    "no schema": record(schema=None),
    "an older schema": record(schema=0),
    "an accuracy of 7": results(**{"test/accuracy": 7}),
    "a negative best accuracy": results(**{"val/best_accuracy": -0.5}),
    "negative classes": results(ln_classes=-1e308),
    "NaN": results(**{"val/loss": float("nan")}),
    "infinite seconds": record(seconds_train=float("inf")),
    "negative steps": record(steps=-1),
    "words for seconds": record(seconds_train="x"),
    "a huge number": record(total_steps=10**400),
    "no date": record(started_at="noon"),
    "odd dates": record(resumed_at=[3]),
    "a seed in words": record(seed="one"),
    "odd results": record(results=[1]),
    "no config": record(config=None),
    "odd targets": record(targets={"0.5": {"steps": 1}}),
    "deep": text("[" * 100_000),
    "deep inside": lambda path: record(config={**json.loads(path.read_bytes())["config"], "a": deep(400)})(path),
    "half a surrogate": record(init="\ud800"),
}
TABLES: dict[str, Damage] = {
    "a FIFO": fifo,
    "empty": text(""),
    "garbage": text(b"PAR1" + b"\xff" * 200 + b"PAR1"),
    "truncated": half,
    "a folder": folder,
    "other types": table(step=["a"], seconds=["b"], layer=[1], quantity=[2], value=["c"]),
}
PLANS: dict[str, Damage] = {
    "a FIFO": fifo,
    "empty": text(""),
    "a folder": folder,
    "runs that are no list": text('{"runs": 3}'),
    "deep": text("[" * 100_000),
}
MEMORIES: dict[str, Damage] = {
    "a FIFO": fifo,
    "garbage": text(b"\xff\x00"),
    "a folder": folder,
    "a list": text("[1]"),
    "odd runs": lambda path: path.write_text(json.dumps({**json.loads(path.read_bytes()), "runs": {"seed=0": [1, 2]}})),
    "deep": text("[" * 100_000),
}


def mostly_slow(damages: dict[str, Damage], *quick: str) -> list[Any]:
    """All of them; `make test` tries a few."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in damages]


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 0
