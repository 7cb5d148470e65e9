"""`<run folder>/csv/metrics.csv`: one row per logged step, one column per metric."""

import csv
import shutil
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger

from initbench.logger import Opening, RunInfo
from initbench.logger.rank import write_here


def metrics_file() -> Opening:
    """Lightning's CSVLogger in a fixed place. A resumed run keeps its rows, a fresh attempt drops them."""
    return _open


def _open(run: RunInfo) -> list[Logger]:
    write_here()
    # Each row is written at once, so that a killed run keeps them.
    logger = CSVLogger(run.folder, name="csv", version="", flush_logs_every_n_steps=1)
    _take_over(logger, keep=run.resumed)
    return [logger]


def _take_over(logger: CSVLogger, *, keep: bool) -> None:
    # Lightning empties a folder that it finds in use, with a warning; so it never finds one.
    file = Path(logger.log_dir) / "metrics.csv"
    rows = []
    if keep and file.exists():
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    shutil.rmtree(file.parent, ignore_errors=True)
    logger.experiment.metrics.extend(rows)
    logger.save()
