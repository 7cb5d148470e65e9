r"""LaTeX tables for a paper: the rankings, and all pairs of initializers.

They need \usepackage{array,booktabs,graphicx,longtable}.
"""

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.report.content.comparison_tables import overall_table, pairs_table, reference_table
from initbench.report.content.table import Table
from initbench.report.content.workload_tables import ranking_table
from initbench.report.formats.latex_escape import escape
from initbench.wording import count

_PACKAGES = r"% needs \usepackage{array,booktabs,graphicx,longtable}"
# A table that is wider than the text or higher than most of a page is scaled to fit; no other is changed.
_FIT = (
    r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
    r"\resizebox*{!}{\ifdim\totalheight>.8\textheight .8\textheight\else\totalheight\fi}{%",
)
_FLOATS = 12
_NAME = r">{\raggedright\arraybackslash}p{.19\textwidth}"


def rankings(comparison: Comparison) -> str:
    """For each comparison a table over all workloads and one of the reference, if any; then one for each workload."""
    metric = comparison.metric
    found = []
    for number, findings in enumerate(comparison.findings, start=1):
        caption = f"{_over(findings)}. The best mean is bold, whether or not it is significant."
        best = str(findings.overall.index[0])
        found.append(_table(overall_table(findings, metric), caption, f"overall-{number}", best))
        if findings.reference is not None:
            table = reference_table(findings, metric)
            found.append(_table(table, f"{table.title}. {_over(findings)}.", f"reference-{number}"))
    for number, of in enumerate(reversed(comparison.rankings), start=1):
        of_workloads = ranking_table(of, metric)
        inits = next((scope.inits for scope in comparison.scopes if of.workload in scope.workloads), ())
        best = next((init for init, _ in of_workloads.rows if init in inits), "")
        found.append(_table(of_workloads, f"{of.workload}.", f"workload-{number}", best))
    # LaTeX holds only so many unplaced floats before it gives up.
    batches = [found[at : at + _FLOATS] for at in range(0, len(found), _FLOATS)]
    return "\n\n".join([_PACKAGES, "\n\\clearpage\n".join("\n\n".join(batch) for batch in batches)]) + "\n"


def pairs(comparison: Comparison) -> str:
    """All pairs of initializers of each comparison; a long table continues over pages."""
    unit = f", in {comparison.metric.points}" if comparison.metric.points else ""
    found = []
    for number, findings in enumerate(comparison.findings, start=1):
        heading = _row(["better mean", "worse mean", "pairs", "difference", "95% interval", "p", "p (Holm)"])
        rows = [_row([a, b, *cells[:5]]) for a, b, cells in pairs_table(findings, comparison.metric).rows]
        caption = f"All pairs of initializers: paired differences{unit}; intervals hold for all pairs at once. "
        found.append(
            "\n".join(
                [
                    r"{\footnotesize\setlength{\tabcolsep}{2pt}",
                    rf"\begin{{longtable}}{{{_NAME}{_NAME}rrrrr}}",
                    rf"\caption{{{escape(caption + _over(findings))}.}}\label{{tab:initbench-pairs-{number}}}\\",
                    rf"\toprule {heading} \midrule \endfirsthead",
                    rf"\toprule {heading} \midrule \endhead",
                    r"\bottomrule \endfoot",
                    *rows,
                    r"\end{longtable}}",
                ]
            )
        )
    return "\n\n".join([_PACKAGES, *found]) + "\n"


def _table(table: Table, caption: str, label: str, best: str = "") -> str:
    """A table environment; best: the initializer whose mean is bold."""
    score = next((at + 1 for at, name in enumerate(table.columns) if "mean" in name), None)
    rows = [_row([init, *cells], bold=score if init == best else None) for init, cells in table.rows]
    note = [rf"\par\smallskip{{\footnotesize {escape(table.note)}\par}}"] if table.note else []
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}\label{{tab:initbench-{label}}}",
            *_FIT,
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            _row(["initializer", *table.columns]),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}}}",
            *note,
            r"\end{table}",
        ]
    )


def _over(findings: Findings) -> str:
    few, most = findings.seeds
    seeds = count(most, "seed") if few == most else f"{few} to {most} seeds"
    names = findings.workloads
    return f"{names[0]}, {seeds}" if len(names) == 1 else f"{len(names)} workloads, {seeds} each"


def _row(cells: list[str], bold: int | None = None) -> str:
    shown = [escape(cell) for cell in cells]
    if bold is not None:
        shown[bold] = rf"\textbf{{{shown[bold]}}}"
    # Without the {}, a bracket at the start of a row would be read as an option of the row before.
    return f"{{}}{' & '.join(shown)} \\\\"
