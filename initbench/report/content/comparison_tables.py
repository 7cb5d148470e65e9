"""The tables of a comparison: all initializers, the reference against the others, and every two."""

import math

import pandas as pd

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.statistics.bootstrap import SEEDS_NEEDED
from initbench.analysis.statistics.pairs import against
from initbench.analysis.verdict.sentence import p_value
from initbench.metric import Metric
from initbench.report.content.table import PairTable, Table, interval, number
from initbench.wording import count


def overall_table(findings: Findings, metric: Metric) -> Table:
    """All workloads of a comparison together, best first; differences are from the first row."""
    table = findings.overall
    rivals = against(findings.pairs, str(table.index[0]))
    rows = []
    for init, row in table.iterrows():
        cells = [
            metric.cell(row["mean"]),
            metric.cell(row["iqm"]),
            metric.interval(row["low"], row["high"]),
            number(row["best"], ".0%"),
            number(row["rank"], ".2f"),
        ]
        cells += _comparison(rivals.loc[init], metric) if init in rivals.index else [""] * 4
        rows.append((str(init), cells))
    columns = [f"mean {metric.label}", "interquartile mean", "95% interval", "best in resamples", "average rank"]
    behind_best = ["behind the best by", "95% interval (all pairs)", "p", "p (Holm)"]
    return Table("", [*columns, *behind_best], rows, {"scored": "yes"}, note=_note(findings, metric)).without_empty()


def reference_table(findings: Findings, metric: Metric) -> Table:
    """The reference against each of the others, its largest lead first."""
    rows = [(str(init), _comparison(row, metric, "+")) for init, row in findings.against_reference.iterrows()]
    columns = ["lead", "95% interval (these pairs)", "p", "p (Holm)"]
    unit = f" Leads are in {metric.points}." if metric.points else ""
    note = f"Positive: {findings.reference} is better. Holm's correction covers {count(len(rows), 'pair')}.{unit}"
    return Table(f"{findings.reference} against each of the others", columns, rows, {"scored": "yes"}, note=note)


def _comparison(row: pd.Series, metric: Metric, sign: str = "") -> list[str]:
    ends = interval(row["low"], row["high"], metric, sign)
    return [metric.number(row["difference"], sign), ends, p_value(row["p"]), p_value(row["p_holm"])]


def _note(findings: Findings, metric: Metric) -> str:
    ranks, workloads = findings.ranks, len(findings.workloads)
    notes = [f"Differences are in {metric.points}."] if metric.points else []
    if findings.seeds[0] < SEEDS_NEEDED[workloads > 1]:
        needed = f"{SEEDS_NEEDED[0]} seeds of a single workload, or {SEEDS_NEEDED[1]} of each of several"
        notes.append(f"Intervals of the interquartile mean need at least {needed}.")
    if not math.isnan(ranks.critical_difference):
        notes.append(
            f"Average ranks are over {count(ranks.blocks, 'seed')}; two differ significantly if they are more "
            f"than {ranks.critical_difference:.2f} apart (Nemenyi, 5%). Friedman's test that all are alike: "
            f"p = {p_value(ranks.friedman_p)}."
        )
    return " ".join(notes)


def pairs_table(findings: Findings, metric: Metric) -> PairTable:
    """Every two initializers of a comparison, in the order of its overall table."""
    columns = ["pairs of runs", f"difference{f', {metric.points}' if metric.points else ''}"]
    columns += ["95% interval (all pairs)", "p", "p (Holm)"]
    has_margin = findings.margin is not None
    columns += ["p (equal to within the margin)"] * has_margin
    columns += ["probability of improvement", "95% interval"]
    place = {init: position for position, init in enumerate(findings.overall.index)}
    rows = []
    for row in sorted(findings.pairs.to_dict("records"), key=lambda row: (place[row["a"]], place[row["b"]])):
        share, low, high = findings.improvements[row["a"], row["b"]]
        cells = [str(row["pairs"]), *_comparison(pd.Series(row), metric, "+"), *[p_value(row["p_equal"])] * has_margin]
        known = not math.isnan(low)
        cells += [number(share, ".2f"), f"{low:.2f} to {high:.2f}" if known else ""]
        rows.append((str(row["a"]), str(row["b"]), cells))
    return PairTable(columns, rows)


def heading(workloads: list[str], comparisons: int) -> str:
    """A heading that names the workloads of a comparison; comparisons: how many the report has."""
    if comparisons == 1 and len(workloads) == 1:
        return "Ranking"
    return f"Over {len(workloads)} workloads" if len(workloads) > 1 else f"Compared on {workloads[0]}"
