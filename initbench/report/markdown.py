"""report.md: the verdict, what is wrong, and the tables, for a pull request."""

from initbench.analysis.comparison import Comparison
from initbench.analysis.verdict import verdict
from initbench.report import tables


def markdown(comparison: Comparison, title: str) -> str:
    """The report as GitHub renders it; names cannot break out of their cells."""
    parts = [f"# {_text(title)}", *(_text(sentence) for sentence in verdict(comparison))]
    if comparison.problems:
        parts.append(
            "\n".join(f"- {'**' * p.is_serious}{_text(p.text)}{'**' * p.is_serious}" for p in comparison.problems)
        )
    if len(comparison.overall):
        heading = "Over all tasks" if len(comparison.rankings) > 1 else "Ranking"
        parts += [f"## {heading}", _table(tables.overall(comparison))]
    for ranking in reversed(comparison.rankings):
        parts += [f"## {_text(ranking.title)}", _table(tables.of_task(ranking))]
    return "\n\n".join(parts) + "\n"


def _table(table: tables.Table) -> str:
    heading = [["init", *table.columns], ["---", *["---:"] * len(table.columns)]]
    lines = [*heading, *([f"`{_code(init)}`", *cells] for init, cells in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + (f"\n\n{table.note}" if table.note else "")


def _text(text: str) -> str:
    for character in "\\`*_<>[]|":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")


def _code(name: str) -> str:
    return name.replace("`", "'").replace("|", "\\|").replace("\n", " ")
