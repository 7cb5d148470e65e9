"""Studies of toy data made by hand, whose runs kept their outputs."""

from pathlib import Path
from typing import Any

import pandas as pd
from studies import write_study

POINTS = 21  # of the test set


def curves_of(function: str = "spirals", size: int = 40) -> dict[str, Any]:
    """The data of a config."""
    source = {"name": "curves", "_target_": "initbench.data.curves", "function": function}
    return {**source, "size": size, "noise": 0.1, "val_size": 5}


def write_fits(
    study: Path, *records: dict[str, Any], data: dict[str, Any] | None = None, task: str = "Classification"
) -> Path:
    """A folder for each record. In each point of the test set, a run's last output is its accuracy; another one is 0.

    Runs that diverged kept none.
    """
    data = data or curves_of()
    for one in records:
        one["config"] |= {"data": data, "task": {"_target_": f"initbench.task.{task}"}}
    write_study(study, *records)
    for one, folder in zip(records, sorted(study.iterdir()), strict=True):
        if one["status"] == "finished":
            accuracy = one["results"]["test/accuracy"]
            outputs = [0.0, accuracy] if data.get("function") == "spirals" else [accuracy]
            columns = {"accuracy": True, **{f"output_{k}": value for k, value in enumerate(outputs)}}
            pd.DataFrame(columns, index=range(POINTS)).to_parquet(folder / "test_samples.parquet")
    return study
