"""Frames of runs made by hand, through the same function that makes them of records."""

from typing import Any

import pandas as pd

from initbench.analysis.loading.frame import to_frame
from initbench.record.damage import SCHEMA
from initbench.record.flat import flat
from initbench.record.signature import digest

TARGETS = (0.5, 0.9)


def record(
    init: str,
    seed: int,
    accuracy: float | None = 0.8,
    *,
    lr: float | None = 0.1,
    status: str = "finished",
    hits: tuple[int | None, int | None] = (10, None),
    steps: int = 100,
    tuning: tuple[int, ...] = (),
    model: dict[str, Any] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """A record whose accuracy is the same on all sets; `hits`: the steps of its targets, half as many seconds."""
    config: dict[str, Any] = {
        "init": {"name": init},
        "model": {"name": "mlp", **(model or {})},
        "data": {"name": "mnist", "val_every_n_steps": 10},
        "optimizer": {"name": "sgd", **({} if lr is None else {"lr": lr})},
        "scheduler": {},
        "trainer": {},
        "seed": seed,
        "tuning": {"seeds": list(tuning)} if tuning else None,
    }
    ended = status in ("finished", "diverged")
    targets = {
        f"{target:g}": {
            "reached": hit is not None,
            "steps": hit or steps,
            "seconds": (hit or steps) / 2,
            "reason": None,
        }
        for target, hit in zip(TARGETS, hits, strict=True)
    }
    results = {"ln_classes": 2.302585092994046}
    if accuracy is not None:
        results |= {"val/accuracy": accuracy, "val/best_accuracy": accuracy}
        results |= {"test/accuracy": accuracy} if status == "finished" else {}
    return {
        "schema": SCHEMA,
        "name": f"mlp-mnist-{init}-seed{seed}",
        "study": "study",
        "status": status,
        "init": init,
        "seed": seed,
        "setting": digest(config["optimizer"] | config["model"]),
        "signature": digest(config),
        "config": config,
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:01:00+00:00" if status != "running" else None,
        "total_steps": 100,
        **({"results": results, "targets": targets, "seconds_init": 0.5, "seconds_train": 50.0} if ended else {}),
        **parts,
    }


def frame(*records: dict[str, Any]) -> pd.DataFrame:
    return to_frame({**flat(one), "path": f"runs/study/{number}"} for number, one in enumerate(records))
