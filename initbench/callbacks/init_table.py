"""The table of what was initialized: stored with the run, printed on request."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
from rich.table import Table

from initbench.console import console
from initbench.module import Classifier
from initbench.record.store import Store


class InitTable(L.Callback):
    """Writes layers.parquet, a row a parameter, before the first training step."""

    def __init__(self, store: Store, print_init: bool) -> None:
        self.store = store
        self.print_init = print_init

    # Not on_fit_start: callbacks' runs before the module's, which is where the initializer is applied.
    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        self.store.write_table("layers", pl_module.init_table)
        if self.print_init:
            console.print(as_table(pl_module.init_table))


def as_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows of `initbench.init.rows` for the terminal."""
    table = Table(title="What was initialized", title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*("" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    return table
