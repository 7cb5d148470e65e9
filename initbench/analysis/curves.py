"""Learning curves: the histories of runs, averaged over seeds step by step."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

METRICS = ("val/accuracy", "val/error", "val/loss", "train/loss")


def load_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """The histories of all `runs` in one frame: init, seed, step, seconds (with those of the init), and METRICS.

    val/error is 1 - val/accuracy: on a logarithmic axis it tells apart what is good.
    """
    # pyarrow's own reader: pandas's takes three times as long, which counts with thousands of small files.
    from pyarrow import parquet

    tables = []
    for row in runs.itertuples():
        file = Path(str(row.path)) / "history.parquet"
        if not file.exists():
            continue
        present = parquet.read_schema(file).names
        columns = [c for c in ("step", "seconds", *METRICS) if c in present]
        table = parquet.read_table(file, columns=columns).to_pandas()
        seconds_init = float(row.seconds_init) if pd.notna(row.seconds_init) else 0.0
        seconds = table["seconds"] + seconds_init if "seconds" in table else float("nan")
        tables.append(table.assign(init=row.init, seed=row.seed, seconds=seconds))
    empty = pd.DataFrame(columns=["init", "seed", "step", "seconds"])
    curves = pd.concat(tables, ignore_index=True) if tables else empty
    curves = curves.reindex(columns=["init", "seed", "step", "seconds", *METRICS])
    return curves.assign(**{"val/error": 1 - curves["val/accuracy"]})


def mean_curve(curves: pd.DataFrame, metric: str, points: int | None = None) -> pd.DataFrame:
    """mean, low and high over seeds of one initializer's metric by step, seconds (mean), and runs that got that far.

    `points`: at most so many, every k-th step and the last; nothing is smoothed.
    """
    rows = curves[["step", "seconds", metric]].dropna(subset=[metric])
    grouped = rows.groupby("step")
    values = grouped[metric]
    curve = pd.DataFrame(
        {
            "mean": values.mean(),
            "low": values.min(),
            "high": values.max(),
            "seconds": grouped["seconds"].mean(),
            "runs": values.size(),
        }
    )
    return curve if points is None else curve.iloc[_thinned(len(curve), points)]


def _thinned(length: int, points: int) -> Sequence[int]:
    stride = -(-length // points)
    kept = list(range(0, length, max(stride, 1)))
    return kept if not length or kept[-1] == length - 1 else [*kept, length - 1]
