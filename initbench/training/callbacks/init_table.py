"""The table of what was initialized: stored with the run, printed on request."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.console import console
from initbench.record.plain import Row
from initbench.record.store import Store
from initbench.training.module import Classifier


class InitTable(L.Callback):
    """Writes parameters.parquet, a row a parameter, before the first training step."""

    def __init__(self, store: Store, print_init: bool) -> None:
        self.store = store
        self.print_init = print_init

    # Not on_fit_start: callbacks' runs before the module's, which is where the initializer is applied.
    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        self.store.write_table("parameters", pl_module.recipe.init_table)
        if self.print_init:
            console.print(as_table(pl_module.recipe.init_table), crop=False)


def as_table(rows: Sequence[Row]) -> Table:
    """The rows of `initbench.init.rows` for the terminal; the rule of a role without rules is the role itself."""
    columns = ("parameter", "role", "rule", "scheme", "fan_in", "fan_out", "std_expected", "std", "mean")
    table = Table(title="What was initialized", title_justify="left", box=SIMPLE_HEAD, padding=0)
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    for index, column in enumerate(columns):
        # A cut-off name is worth nothing: in a narrow terminal the lines wrap instead.
        heading = column.replace("std_expected", "std expected")
        width = max(len(heading), *(len(line[index]) for line in cells))
        table.add_column(
            heading,
            justify="left" if index < 4 else "right",
            min_width=width,
            no_wrap=True,
        )
    for line in cells:
        table.add_row(*map(escape, line))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
