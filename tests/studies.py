"""Studies on disk, made by hand: records as `frames.record` has them, with histories and diagnostics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from initbench.record.store import write_record


def write_study(study: Path, *records: dict[str, Any], layers: Sequence[float] | None = None) -> Path:
    """A folder a record; a history of those that ended, ten evaluations that rise to the accuracy of the record.

    layers: the second moments of as many layers, of every run.
    """
    for number, record in enumerate(records):
        folder = study / f"{number:04d}-{record['signature']}"
        write_record(folder, {**record, "study": study.name})
        accuracy = record.get("results", {}).get("val/accuracy")
        if accuracy is not None:
            history(accuracy).to_parquet(folder / "history.parquet")
        if layers is not None:
            of_layers(layers).to_parquet(folder / "layers.parquet")
    return study


def history(accuracy: float) -> pd.DataFrame:
    rows = [
        {
            "step": 10 * n,
            "seconds": 1.0 * n,
            "val/accuracy": reached,
            "val/loss": 2.3 - 0.2 * n,
            "train/loss": 2.2 - 0.2 * n,
        }
        for n, reached in enumerate(np.linspace(0.1, accuracy, 10))
    ]
    return pd.DataFrame(rows)


def of_layers(moments: Sequence[float]) -> pd.DataFrame:
    """Diagnostics at steps 0 and 1, layers named in an order that is not the alphabet's."""
    rows = [
        {"step": step, "layer": f"layer{9 - n}", "quantity": quantity, "index": 0, "value": moment * (1 + 9 * step)}
        for step in (0, 1)
        for quantity in ("pre_second_moment", "dead", "jacobian")
        for n, moment in enumerate(moments)
    ]
    return pd.DataFrame(rows)
