"""Records made by hand, as initbench.record.store writes them; tests/status/test_study.py compares a real one."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from initbench.metric import ACCURACY
from initbench.record.store import atomic_write

SWEEP = "5eed"  # the id of the sweep that plans and records here are of, unless they are given another
NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC).timestamp()


def iso(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).isoformat(timespec="seconds")


def folder_name(init: str = "orthogonal", seed: int = 0, setting: str = "5e771a9000") -> str:
    return f"lenet-mnist-{init}-seed{seed}-{abs(hash((init, seed, setting))) % 16**10:010x}"


def record(
    init: str = "orthogonal",
    seed: int = 0,
    status: str = "finished",
    *,
    setting: str = "5e771a9000",
    ago: float = 100.0,
    took: float | None = 10.0,
    best: float | None = 0.9,
    lr: float | None = 0.1,
    model: dict[str, Any] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """The record of a run that started `ago` seconds before NOW and, unless it is running, ended after `took`."""
    ended: dict[str, Any] = {} if status == "running" or took is None else {"finished_at": iso(ago - took)}
    if status in ("finished", "diverged"):
        ended |= {"reason": None, "results": {"val/best_accuracy": best}, "seconds_train": took, "total_steps": 100}
    return {
        "schema": 1,
        "status": status,
        "sweep": SWEEP,
        "study": "study",
        "name": f"lenet-mnist-{init}-seed{seed}",
        "signature": folder_name(init, seed, setting)[-10:],
        "setting": setting,
        "init": init,
        "seed": seed,
        "attempt": 1,
        "started_at": iso(ago),
        "resumed_at": [],
        "metric": asdict(ACCURACY),
        **ended,
        **parts,
        "config": {
            "init": {"name": init},
            "model": {"name": "lenet", **(model or {})},
            "data": {"name": "mnist"},
            "optimizer": {"name": "sgd", **({} if lr is None else {"lr": lr})},
            "scheduler": {},
            "trainer": {},
            "seed": seed,
        },
    }


def write(study: Path, *args: Any, **kwargs: Any) -> Path:
    """Write `record(...)` into its folder, which is returned."""
    made = record(*args, **kwargs)
    folder = study / f"{made['name']}-{made['signature']}"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "record.json", json.dumps(made, indent=1).encode())
    return folder


def write_plan(study: Path, *folders: str, **parts: Any) -> None:
    """The plan of a sweep, by a process of which nothing is known."""
    plan = {
        "runs": list(folders),
        "sweep": SWEEP,
        "started_at": iso(0),
        "pid": 1,
        "host": "elsewhere",
        **parts,
    }
    (study / ".sweep").mkdir(parents=True, exist_ok=True)
    atomic_write(study / ".sweep" / "plan.json", json.dumps(plan).encode())
