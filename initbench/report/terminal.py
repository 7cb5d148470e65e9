"""Rankings and a verdict in the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from initbench.analysis.verdict import Verdict
from initbench.report.tables import Table, of_workload, reference


def show(verdict: Verdict, console: Console, rankings: bool = True) -> None:
    """A table for each workload, that of the reference if there is one, then the sentences."""
    comparison, metric = verdict.comparison, verdict.comparison.metric
    tables = [(of_workload(ranking, metric), ranking.workload) for ranking in comparison.rankings] if rankings else []
    own = [reference(findings, metric) for findings in comparison.findings if findings.reference is not None]
    for table, title in [*tables, *((table, table.title) for table in own)]:
        console.print(as_rich(table, title, console.width))
    for sentence in verdict.sentences:
        console.print(str(sentence), markup=False, highlight=False, soft_wrap=True)


def as_rich(table: Table, title: str, width: int) -> RichTable:
    """The table for a terminal of this width: without its intervals, which the page has too, where they do not fit."""
    if sum(map(_width, _columns(table))) > width:
        table = table.without_intervals()
    drawn = RichTable(title=escape(title), title_justify="left")
    for place, (name, *cells) in enumerate(_columns(table)):
        # A cut-off number is worth nothing: in a narrow terminal headings wrap, and lines if they must.
        widest = max(map(len, cells), default=0)
        drawn.add_column(escape(name), justify="right" if place else "left", min_width=widest)
    for init, cells in table.rows:
        drawn.add_row(escape(init), *map(escape, cells))
    return drawn


def _columns(table: Table) -> list[list[str]]:
    rows = [["init", *table.columns], *([init, *cells] for init, cells in table.rows)]
    return [list(column) for column in zip(*rows, strict=True)]


def _width(column: list[str]) -> int:
    """With its borders: as wide as its cells, and as the longest word of its heading."""
    return max(*map(len, column[1:]), *map(len, column[0].split())) + 3
