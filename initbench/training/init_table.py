"""The table of what was initialized: stored with the run, printed on request."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.console import console
from initbench.fitting import Fitting
from initbench.record.plain import Row
from initbench.record.store import Store


def keep_table(rows: Sequence[Row], store: Store) -> None:
    """Write parameters.parquet, one row per parameter, and print it if the config wants that."""
    store.write_table("parameters", rows)
    if store.typed.print_init:
        console.print(as_table(rows))


def as_table(rows: Sequence[Row]) -> Fitting:
    """The rows of `initbench.init.rows` for the terminal. The rule is shown where one differs from its role."""
    columns = ["parameter", "role", "rule", "scheme", "fan_in", "fan_out", "std", "std_expected", "mean"]
    if all(row["rule"] == row["role"] for row in rows):
        columns.remove("rule")
    table = Table(title="What was initialized", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for column in columns:
        is_number = column not in ("parameter", "role", "rule", "scheme")
        table.add_column(column.removeprefix("std_"), justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        table.add_row(*(escape(_cell(row[column])) for column in columns))
    return Fitting(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
