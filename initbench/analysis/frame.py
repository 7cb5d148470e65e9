"""Records as a pandas frame, a row a run."""

import json
from pathlib import Path

import pandas as pd

from initbench.record.flat import flat

_WHAT = ["study", "init", "model", "data", "optimizer", "lr", "seed", "budget", "status", "reason", "setting"]
_WHERE = ["signature", "path", "started_at", "finished_at"]


def load_runs(folder: str | Path) -> pd.DataFrame:
    """Every run whose record lies under `folder`, at any depth.

    Columns: study, init, model, data, optimizer, lr, seed, budget (in steps), status (finished, diverged, refused,
    failed, running), reason, setting (equal for runs that differ in init and seed alone), signature, path, started_at,
    finished_at; train/loss, val/accuracy, test/accuracy and their like; steps_to_<target>, seconds_to_<target>, missing
    where the target was not reached; seconds_init, seconds_train. Raises ValueError where the folder is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}")
    records = sorted(folder.rglob("record.json"))
    rows = [flat(json.loads(record.read_text()), record.parent) for record in records]
    return pd.DataFrame(rows, columns=None if rows else [*_WHAT, *_WHERE])


def load_layers(path: str | Path) -> pd.DataFrame:
    """The diagnostics of one run by its folder: step, layer, quantity, index, value; empty where there are none."""
    file = Path(path) / "layers.parquet"
    return pd.read_parquet(file) if file.exists() else pd.DataFrame({"step": []})


def load_history(path: str | Path) -> pd.DataFrame:
    """The history of one run by its folder: step, epoch, seconds, lr, train/*, val/*; empty where there is none."""
    file = Path(path) / "history.parquet"
    return pd.read_parquet(file) if file.exists() else pd.DataFrame({"step": []})
