"""report.md: the verdict, what is wrong, and the tables, for a pull request."""

from collections.abc import Sequence

from initbench.analysis.comparison import Comparison
from initbench.analysis.ranking import number
from initbench.analysis.verdict import verdict
from initbench.report.page import interval, task_table


def markdown(comparison: Comparison, title: str) -> str:
    """The report as GitHub renders it; names cannot break out of their cells."""
    parts = [f"# {_text(title)}", *(_text(sentence) for sentence in verdict(comparison))]
    if comparison.problems:
        parts.append(
            "\n".join(f"- {'**' * p.is_serious}{_text(p.text)}{'**' * p.is_serious}" for p in comparison.problems)
        )
    if len(comparison.rankings) > 1 and len(comparison.overall):
        rows = [
            [
                str(init),
                number(row["mean"], ".4f"),
                number(row["iqm"], ".4f"),
                interval(row["low"], row["high"], ".4f"),
                number(row["best"], ".0%"),
                number(row["rank"], ".2f"),
            ]
            for init, row in comparison.overall.iterrows()
        ]
        columns = [
            "init",
            "mean test accuracy",
            "interquartile mean",
            "95 %",
            "probability of being best",
            "average rank",
        ]
        parts += ["## Over all tasks", _table(columns, rows)]
    for ranking in reversed(comparison.rankings):
        columns, cells = task_table(ranking)
        parts += [f"## {_text(ranking.title)}", _table(["init", *columns], [[init, *row] for init, row in cells])]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([f"`{_code(row[0])}`", *row[1:]] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    for character in "\\`*_<>[]|":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")


def _code(name: str) -> str:
    return name.replace("`", "'").replace("|", "\\|").replace("\n", " ")
