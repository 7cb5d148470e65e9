"""The tables of one workload: its ranking, and the details behind it."""

import math
from collections.abc import Iterator

import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import p_value
from initbench.analysis.workload.lr_sensitivity import good_range, lr_sensitivity
from initbench.analysis.workload.ranking import OUTCOMES, Ranking
from initbench.metric import Metric
from initbench.report.content.table import Table, half_width, interval, number, steps


def ranking_table(ranking: Ranking, metric: Metric) -> Table:
    """The ranking of a workload, without empty columns.

    If every run learned something, it has means with Student's intervals. Otherwise it has the share of runs that did,
    and the interquartile mean of all, in which a failed run counts as chance.
    """
    outcomes = [status for status in OUTCOMES[1:] if ranking.table[status].any()]
    rates = ["learning rate"] * ranking.has_choice
    if ranking.all_learned:
        scores = [f"{metric.label}, mean ± 95%", "runs"]
    else:
        scores = ["learned", "95% interval", f"{metric.label}, interquartile mean", "95% interval"]
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


def detail_tables(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """The details behind a ranking: each learning rate, each target, and other means."""
    runs = comparison.runs[comparison.runs["workload"] == ranking.workload]
    yield from _rates(runs, ranking, comparison.metric)
    yield from _times(comparison, ranking)
    yield from _means(ranking, comparison.metric)
    yield from new_data_table(comparison, ranking)


def new_data_table(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """Means and leads of the best for these test samples and for new ones, if the runs have kept the values of each."""
    metric = comparison.metric
    for of in (of for of in comparison.new_data if of.workload == ranking.workload):
        best = str(of.means.index[0])
        leads = of.leads(best).reindex(of.means.index)
        rows = []
        for init, mean in of.means.iterrows():
            lead = leads.loc[init]
            cells = [
                metric.cell(mean["mean"]),
                metric.interval(mean["low"], mean["high"]),
                metric.interval(mean["new_low"], mean["new_high"]),
                metric.number(lead["difference"]),
                interval(lead["low"], lead["high"], metric),
                interval(lead["new_low"], lead["new_high"], metric),
            ]
            rows.append((str(init), cells))
        these, new = f"95% interval, these {of.samples:,} samples", "95% interval, new samples"
        columns = [
            f"mean {metric.label}",
            these,
            new,
            f"behind {best} by",
            f"{these} (all pairs)",
            f"{new} (all pairs)",
        ]
        unit = f" Differences are in {metric.points}." if metric.points else ""
        note = f"The test samples count as drawn at random, as the runs do. Differences are paired by seed.{unit}"
        runs = {"workload": ranking.workload_id, "scored": "yes"}
        yield Table("For new data", columns, rows, runs, note=note).without_empty()


def _hundredth(scores: pd.Series, chance: float) -> float:
    """A hundredth of the way from chance, or the worst score, to the best: what is close without a natural unit."""
    return float(scores.max() - min(scores.min(), chance if math.isfinite(chance) else math.inf)) / 100


def _rates(runs: pd.DataFrame, ranking: Ranking, metric: Metric) -> Iterator[Table]:
    sensitivity = lr_sensitivity(runs)
    rates = sorted(sensitivity["lr"].unique())
    if len(rates) < 2:
        return
    chance = float(runs["chance"].max())
    point = metric.margin(1) if metric.is_share else _hundredth(sensitivity["mean"], chance)
    good = good_range(sensitivity, point, chance=chance)
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
        f"Mean final {metric.of_validation} over all seeds, with its 95% interval (Student's t).",
    )


def _times(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """For each target that some run reached: which initializers reached it, when, and whether they differ."""
    for times in (times for times in comparison.times if times.workload == ranking.workload):
        rows = []
        for init, row in times.table.iterrows():
            rate = f"{number(row['hit_rate'], '.0%')} ({row['hit_low']:.0%} to {row['hit_high']:.0%})"
            known = not math.isnan(row["mean_low"])
            ends = f" ({row['mean_low']:.0f} to {row['mean_high']:.0f})" if known else ""
            seconds = "never" if math.isinf(row["median_seconds"]) else number(row["median_seconds"], ".1f")
            mean = f"{row['mean_steps']:.0f}{ends}"
            rows.append((str(init), [rate, between(row), seconds, mean, p_value(row["p"]), p_value(row["p_first"])]))
        columns = ["runs that reach it (95%)", "median steps", "median seconds", "restricted mean steps (95%)"]
        yield Table(
            f"Time to {comparison.metric.target(times.target)}",
            [*columns, "p (log-rank, all pairs)", "p (to be the fastest)"],
            rows,
            {"workload": ranking.workload_id, "scored": "yes"},
            note="Both p values compare with the first row. The first one is corrected for all pairs, targets and "
            "workloads. The second one is corrected for targets and workloads only; if it is small in every row, the "
            "first initializer is the fastest of all.",
        )


def between(row: pd.Series) -> str:
    """A median time as the interval between two evaluations in which it lies."""
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
