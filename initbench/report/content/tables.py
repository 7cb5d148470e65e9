"""The tables of a report as text: a row for each initializer, and which runs are behind each number."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.statistics.bootstrap import SEEDS_NEEDED
from initbench.analysis.statistics.pairs import against
from initbench.analysis.verdict.sentence import count, p_value
from initbench.analysis.workload.lr_sensitivity import good_range, lr_sensitivity
from initbench.analysis.workload.ranking import OUTCOMES, Ranking
from initbench.metric import Metric


@dataclass(frozen=True)
class Table:
    """`runs` are the filters of the table of runs that show what is behind it; those of its initializer join them."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]  # initializer, cells
    runs: Mapping[str, str] = field(default_factory=dict)
    column_runs: Sequence[Mapping[str, str]] = field(default_factory=tuple)  # more of them, for each column
    note: str = ""

    def behind(self, init: str, column: int) -> dict[str, str]:
        return {**self.runs, "init": init, **(self.column_runs[column] if self.column_runs else {})}

    def without_empty(self) -> "Table":
        """The same without the columns in which no row says anything."""
        return self._only(
            [at for at, _ in enumerate(self.columns) if any(cells[at] not in ("", "-") for _, cells in self.rows)]
        )

    def without_intervals(self) -> "Table":
        return self._only([at for at, name in enumerate(self.columns) if not name.startswith("95 % interval")])

    def _only(self, kept: Sequence[int]) -> "Table":
        rows = [(init, [cells[at] for at in kept]) for init, cells in self.rows]
        return replace(self, columns=[self.columns[at] for at in kept], rows=rows)


def overall(findings: Findings, metric: Metric) -> Table:
    """All workloads of a comparison together, best first; the differences are to the first row."""
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
    columns = [f"mean {metric.label}", "interquartile mean", "95 % interval", "best in resamples", "average rank"]
    behind_best = ["behind the best by", "95 % interval (all pairs)", "p", "p (Holm)"]
    return Table("", [*columns, *behind_best], rows, {"scored": "yes"}, note=_note(findings, metric)).without_empty()


def reference(findings: Findings, metric: Metric) -> Table:
    """The reference against each other initializer, its largest lead first."""
    rows = [(str(init), _comparison(row, metric, "+")) for init, row in findings.against_reference.iterrows()]
    columns = ["lead", "95 % interval (these pairs)", "p", "p (Holm)"]
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
            f"Average ranks are over {ranks.blocks} seeds; two differ significantly if they are more "
            f"than {ranks.critical_difference:.2f} apart (Nemenyi, 5 %). Friedman's test that all are alike: "
            f"p = {p_value(ranks.friedman_p)}."
        )
    return " ".join(notes)


@dataclass(frozen=True)
class PairTable:
    """A row for each two initializers: the higher, the lower, cells."""

    columns: list[str]
    rows: list[tuple[str, str, list[str]]]


def every_two(findings: Findings, metric: Metric) -> PairTable:
    """Every two initializers of a comparison, in the order of its overall table."""
    columns = ["pairs of runs", f"difference{f', {metric.points}' if metric.points else ''}"]
    columns += ["95 % interval (all pairs)", "p", "p (Holm)"]
    has_margin = findings.margin is not None
    columns += ["p (equal to within the margin)"] * has_margin
    columns += ["probability of improvement", "95 % interval"]
    place = {init: position for position, init in enumerate(findings.overall.index)}
    rows = []
    for row in sorted(findings.pairs.to_dict("records"), key=lambda row: (place[row["a"]], place[row["b"]])):
        share, low, high = findings.improvements[row["a"], row["b"]]
        cells = [str(row["pairs"]), *_comparison(pd.Series(row), metric, "+"), *[p_value(row["p_equal"])] * has_margin]
        known = not math.isnan(low)
        cells += [number(share, ".2f"), f"{low:.2f} to {high:.2f}" if known else ""]
        rows.append((str(row["a"]), str(row["b"]), cells))
    return PairTable(columns, rows)


def of_workload(ranking: Ranking, metric: Metric) -> Table:
    """A ranking; columns that say nothing are left out.

    The mean with Student's interval where every run learned something. Else the share that did, and the interquartile
    mean of all, to which a run that failed adds chance.
    """
    outcomes = [status for status in OUTCOMES[1:] if ranking.table[status].any()]
    rates = ["learning rate"] * ranking.has_choice
    if ranking.all_learned:
        scores = [f"{metric.label}, mean ± 95 %", "runs"]
    else:
        scores = ["learned", "95 % interval", f"{metric.label}, interquartile mean", "95 % interval"]
    reached = (
        []
        if ranking.target is None
        else [f"reach {metric.target(ranking.target)}", f"median steps to {metric.target(ranking.target)}"]
    )
    rows = []
    for init, row in ranking.table.iterrows():
        if ranking.all_learned:
            shown = [metric.cell(row["mean"]) + half_width(row["half_width"], metric), str(int(row["runs"]))]
        else:
            shown = [*_learned(row), metric.cell(row["iqm"]), metric.interval(row["iqm_low"], row["iqm_high"])]
        cells = [
            *(number(row["lr"], "g") for _ in rates),
            *shown,
            *([number(row["hit_rate"], ".0%"), steps(row["median_steps"])] if reached else []),
            *(str(int(row[status])) for status in outcomes),
        ]
        rows.append((str(init), cells))
    columns = [*rates, *scores, *reached, *outcomes]
    return Table("", columns, rows, {"workload": ranking.workload_id, "scored": "yes"}).without_empty()


def _learned(row: pd.Series) -> list[str]:
    """How many of the runs learned something, and the interval of their share."""
    if not row["scored"]:
        return ["-", ""]
    return [f"{row['learned']:.0f} of {row['scored']:.0f}", f"{row['learned_low']:.0%} to {row['learned_high']:.0%}"]


def details(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """What stands behind a ranking: each learning rate, each target, and other means."""
    runs = comparison.runs[comparison.runs["workload"] == ranking.workload]
    yield from _rates(runs, ranking, comparison.metric)
    yield from _times(comparison, ranking)
    yield from _means(ranking, comparison.metric)


def _rates(runs: pd.DataFrame, ranking: Ranking, metric: Metric) -> Iterator[Table]:
    sensitivity = lr_sensitivity(runs)
    rates = sorted(sensitivity["lr"].unique())
    if len(rates) < 2:
        return
    point = metric.margin(1)
    good = good_range(sensitivity, point, chance=float(runs["chance"].max()))
    found = {(row.init, row.lr): row for row in sensitivity.itertuples()}

    def cell(init: str, rate: float) -> str:
        row = found.get((init, rate))
        if row is None:
            return "-"
        diverged = f" ({row.diverged} diverged)" if row.diverged else ""
        return f"{metric.cell(row.mean)}{half_width(row.half_width, metric)}{diverged}"

    def within(init: str) -> str:
        return f"{good.at[init, 'low']:g} to {good.at[init, 'high']:g}" if init in good.index else "-"

    rows = [(init, [*(cell(init, rate) for rate in rates), within(init)]) for init in map(str, ranking.table.index)]
    columns = [f"{rate:g}" for rate in rates]
    yield Table(
        "At each learning rate",
        [*columns, f"within {metric.difference(point)} of the best"],
        rows,
        {"workload": ranking.workload_id},
        [*({"lr": rate} for rate in columns), {}],
        f"Mean final validation {metric.name} over all seeds, with its 95 % interval (Student's t).",
    )


def _times(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """For each target that some run reached: by whom, when, and whether that differs."""
    for times in (times for times in comparison.times if times.workload == ranking.workload):
        rows = []
        for init, row in times.table.iterrows():
            rate = f"{number(row['hit_rate'], '.0%')} ({row['hit_low']:.0%} to {row['hit_high']:.0%})"
            known = not math.isnan(row["mean_low"])
            ends = f" ({row['mean_low']:.0f} to {row['mean_high']:.0f})" if known else ""
            seconds = "never" if math.isinf(row["median_seconds"]) else number(row["median_seconds"], ".1f")
            mean = f"{row['mean_steps']:.0f}{ends}"
            rows.append((str(init), [rate, between(row), seconds, mean, p_value(row["p"]), p_value(row["p_first"])]))
        columns = ["runs that reach it (95 %)", "median steps", "median seconds", "restricted mean steps (95 %)"]
        yield Table(
            f"Time to {comparison.metric.target(times.target)}",
            [*columns, "p (log-rank, all pairs)", "p (to be the fastest)"],
            rows,
            {"workload": ranking.workload_id, "scored": "yes"},
            note="Both p compare with the first row. The one is corrected for all pairs, targets and workloads; the "
            "other, which has to be small in every row for the first to be the fastest, for targets and workloads.",
        )


def between(row: pd.Series) -> str:
    """A median time as the interval between two evaluations that it is known by."""
    if math.isinf(row["median_steps"]) or math.isnan(row["median_after"]):
        return steps(row["median_steps"])
    return f"{row['median_after']:.0f} to {row['median_steps']:.0f}"


def _means(ranking: Ranking, metric: Metric) -> Iterator[Table]:
    names = {
        f"val/best_{metric.name}": "best validation",
        f"val/{metric.name}": "final validation",
        f"val/{metric.name}_auc": "area under the curve",
        "val/loss_at_start": "loss at the start",
        "seconds_init": "seconds to initialize",
        "seconds_train": "seconds to train",
    }
    columns = [column for column in names if column in ranking.scored and ranking.scored[column].notna().any()]
    if not columns:
        return
    means = ranking.scored.groupby("init")[columns].mean()
    rows = [(init, [number(means.at[init, column], ".4g") for column in columns]) for init in ranking.table.index]
    runs = {"workload": ranking.workload_id, "scored": "yes"}
    yield Table("Other means", [names[column] for column in columns], rows, runs, note="Means over the scored runs.")


def interval(low: float, high: float, metric: Metric, sign: str = "") -> str:
    """An interval of differences."""
    known = not (math.isnan(low) or math.isnan(high))
    return f"{metric.number(low, sign)} to {metric.number(high, sign)}" if known else ""


def number(value: float, form: str) -> str:
    # Rounded once before: two ways to the same mean differ in their last bits, which may be all between two roundings.
    return "-" if math.isnan(value) else f"{round(value, 10):{form}}"


def steps(value: float) -> str:
    return "never" if math.isinf(value) else number(value, ".0f")


def half_width(value: float, metric: Metric) -> str:
    if math.isnan(value):
        return ""
    return f" ± {value:.4f}" if metric.is_share else f" ± {value:.2g}"
