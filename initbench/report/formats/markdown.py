"""report.md: the verdict, the problems and the tables, for a pull request."""

from initbench.analysis.verdict.sentence import Sentence
from initbench.analysis.verdict.verdict import Verdict
from initbench.report.content.comparison_tables import heading, overall_table, reference_table
from initbench.report.content.race import race_tables
from initbench.report.content.table import Table
from initbench.report.content.workload_tables import components_table, new_data_table, ranking_table
from initbench.wording import visible


def markdown(verdict: Verdict, title: str) -> str:
    """The report in GitHub's Markdown; names cannot break out of their cells."""
    comparison = verdict.comparison
    parts = [f"# {_text(title)}", *map(_sentence, verdict.sentences)]
    if verdict.problems:
        parts.append(
            "\n".join(f"- {'**' * p.is_serious}{_text(p.text)}{'**' * p.is_serious}" for p in verdict.problems)
        )
    for findings in comparison.findings:
        parts += [f"## {_text(heading(findings.workloads, len(comparison.findings)))}"]
        parts.append(table(overall_table(findings, comparison.metric)))
        if findings.reference is not None:
            compared = reference_table(findings, comparison.metric)
            parts += [f"### {_text(compared.title)}", table(compared)]
    for race in race_tables(comparison):
        parts += [f"## {_text(race.title)}", table(race)]
    for ranking in reversed(comparison.rankings):
        parts += [f"## {_text(ranking.workload)}", table(ranking_table(ranking, comparison.metric))]
        for more in (*components_table(comparison, ranking), *new_data_table(comparison, ranking)):
            parts += [f"### {_text(more.title)}", table(more)]
    return "\n\n".join(parts) + "\n"


def _sentence(sentence: Sentence) -> str:
    commands = "\n".join(map(visible, sentence.commands))
    return f"{_text(sentence.text)}\n\n```sh\n{commands}\n```" if commands else _text(sentence.text)


def table(given: Table) -> str:
    """A table in GitHub's Markdown, with its note below."""
    top = [["init", *given.columns], ["---", *["---:"] * len(given.columns)]]
    lines = [*top, *([_code(init), *map(_text, cells)] for init, cells in given.rows)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rows}\n\n{_text(given.note)}" if given.note else rows


def _text(text: str) -> str:
    """Text in which nothing is Markdown, HTML, or a formula, and no user of GitHub is called."""
    text = visible(text.replace("\n", " "))
    for character in "\\`*_<>[]|~$#":
        text = text.replace(character, f"\\{character}")
    text = text.replace("&", "&amp;").replace("@", "&#64;")
    return f"\\{text}" if text.startswith(("-", "+", "=")) else text


def _code(name: str) -> str:
    """A name as code, or as text if it has a backslash, after which a pipe would end its cell."""
    name = visible(name.replace("\n", " "))
    if "\\" in name:
        return _text(name)
    escaped = name.replace("`", "'").replace("|", "\\|")
    return f"`{escaped}`"
