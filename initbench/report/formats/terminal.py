"""Rankings and the verdict in the terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table as RichTable

from initbench.analysis.verdict.verdict import Verdict
from initbench.fitting import Fitting
from initbench.report.content.comparison_tables import reference_table
from initbench.report.content.race import race_tables
from initbench.report.content.table import Table
from initbench.report.content.workload_tables import ranking_table

_BORDER = 3  # of a column: two spaces and a line
_LEAST_NAME, _LEAST_HEADING = 12 + _BORDER, 6  # neither is made narrower


def show(verdict: Verdict, console: Console, rankings: bool = True) -> None:
    """Print a table for each workload, one of the reference if there is one, then the sentences."""
    comparison, metric = verdict.comparison, verdict.comparison.metric
    tables = [(ranking_table(ranking, metric), ranking.workload) for ranking in comparison.rankings] if rankings else []
    tables += [(table, table.title) for table in race_tables(comparison)]
    own = [reference_table(findings, metric) for findings in comparison.findings if findings.reference is not None]
    for table, title in [*tables, *((table, table.title) for table in own)]:
        console.print(Fitting(as_rich(table, title, console.width)))
    for sentence in verdict.sentences:
        console.print(str(sentence), markup=False, highlight=False, soft_wrap=True)


def as_rich(table: Table, title: str, width: int) -> RichTable:
    """The table for a terminal of this width, in columns.

    No number is cut off. If the table does not fit, intervals are left out (the page has them), then headings are
    broken, then names.
    """
    if sum(_natural(table)) + 1 > width:
        table = table.without_intervals()
    drawn = RichTable(title=escape(title), title_justify="left")
    for place, ((name, *_), wide) in enumerate(zip(_columns(table), _fitted(table, width), strict=True)):
        justify: JustifyMethod = "right" if place else "left"
        drawn.add_column(escape(name), justify=justify, width=wide - _BORDER, overflow="fold")
    for init, cells in table.rows:
        drawn.add_row(escape(init), *map(escape, cells))
    return drawn


def _fitted(table: Table, width: int) -> list[int]:
    """The widths of the columns, narrowed no more than necessary."""
    widths = _natural(table)
    least = [_LEAST_NAME, *(max(_widest(cells), _LEAST_HEADING) + _BORDER for _, *cells in _columns(table)[1:])]
    for _ in range(sum(widths) + 1 - width):
        spare = [wide - low for wide, low in zip(widths, least, strict=True)]
        spare[0] = min(spare[0], 0) if max(spare[1:]) > 0 else spare[0]  # headings first
        at = max(range(len(spare)), key=spare.__getitem__)
        widths[at] -= spare[at] > 0
    return widths


def _natural(table: Table) -> list[int]:
    """The widths of columns with borders: those of their widest cells and of the longest words of their headings."""
    return [max(_widest(cells), _widest(name.split())) + _BORDER for name, *cells in _columns(table)]


def _columns(table: Table) -> list[list[str]]:
    rows = [["init", *table.columns], *([init, *cells] for init, cells in table.rows)]
    return [list(column) for column in zip(*rows, strict=True)]


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)
