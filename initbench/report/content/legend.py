"""The legend of a report: its initializers, and the colour and dash of each in every plot."""

from initbench.analysis.comparison.comparison import Comparison
from initbench.figures import look

_DASHARRAYS = {
    "solid": "",
    "dash": "8 4",
    "dot": "2 3",
    "dashdot": "8 3 2 3",
    "longdash": "13 4",
    "longdashdot": "12 3 2 3",
}


def legend(comparison: Comparison) -> list[str]:
    """All initializers, best first: those that are compared, then the others as workloads have them."""
    names = [init for findings in comparison.findings for init in findings.overall.index]
    names += [init for ranking in comparison.rankings for init in ranking.table.index]
    return list(dict.fromkeys(map(str, [*names, *comparison.runs["init"]])))


def looks(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Colour and dash of each initializer, the same in all plots."""
    found = {}
    for index, init in enumerate(legend(comparison)):
        colour, dash = look(index)
        css = "var(--ink)" if colour == "#000000" else colour
        found[init] = {"colour": colour, "css": css, "dash": dash, "dasharray": _DASHARRAYS[dash]}
    return found
