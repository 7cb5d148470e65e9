"""Tables for terminals of any width."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LEAST = 12  # a longer name or word is broken over lines


class Fitting:
    """A table whose first column has names; in a narrow terminal, its cells are listed one below the other.

    Nothing is cut off: names and texts are wrapped; cells in columns with `no_wrap`, such as numbers, stay whole.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        for place, column in enumerate(table.columns):
            column.overflow = "fold"
            column.no_wrap = column.no_wrap and place > 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._least(console, options) <= options.max_width:
            yield self.table
        else:
            yield from self._rows()

    def _least(self, console: Console, options: ConsoleOptions) -> int:
        """The width below which something would be cut off."""
        unlimited = options.update_width(10_000)
        spare = 0
        for column in self.table.columns:
            if column.width is None and not column.no_wrap:
                cells = (Measurement.get(console, unlimited, cell) for cell in (column.header, *column.cells))
                spare += max(0, max(cell.minimum for cell in cells) - max(_LEAST, column.min_width or 0))
        return Measurement.get(console, unlimited, self.table).minimum - spare

    def _rows(self) -> Iterator[RenderableType]:
        if self.table.title:
            yield self.table.title
        names, *others = self.table.columns
        cells = [list(column.cells) for column in others]
        for place, name in enumerate(names.cells):
            yield _text(name)
            for column, of_column in zip(others, cells, strict=True):
                cell = _text(of_column[place])
                if cell.plain.strip():
                    head = _text(column.header)
                    yield Text.assemble("    ", head, ": " if head.plain else "", cell, overflow="fold")


def _text(cell: RenderableType) -> Text:
    text = Text.from_markup(cell) if isinstance(cell, str) else cell
    assert isinstance(text, Text)
    text.overflow, text.no_wrap = "fold", False
    return text
