"""The tables of a report as text: a row an initializer, and which runs are behind each number."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.paired import SEEDS_NEEDED
from initbench.analysis.ranking import OUTCOMES, Ranking, number, steps, targets_of
from initbench.analysis.sensitivity import good_range, lr_sensitivity
from initbench.analysis.times import times_to
from initbench.analysis.verdict import against

_MEANS = {
    "val/best_accuracy": "best validation",
    "val/accuracy": "final validation",
    "val/accuracy_auc": "area under the curve",
    "val/loss_at_start": "loss at the start",
    "seconds_init": "seconds to initialize",
    "seconds_train": "seconds to train",
}


@dataclass(frozen=True)
class Table:
    """`runs` are the filters of the table of runs that show what is behind it; those of its initializer join them."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]  # initializer, cells
    runs: Mapping[str, str]
    column_runs: Sequence[Mapping[str, str]] = field(default_factory=tuple)  # more of them, for each column
    note: str = ""

    def behind(self, init: str, column: int) -> dict[str, str]:
        return {**self.runs, "init": init, **(self.column_runs[column] if self.column_runs else {})}


def overall(comparison: Comparison) -> Table:
    """All tasks together, best first; the differences are to the first row."""
    table, pairs = comparison.overall, comparison.pairs
    rivals = against(pairs, str(table.index[0])) if len(pairs) else pd.DataFrame()
    rows = []
    for init, row in table.iterrows():
        cells = [
            number(row["mean"], ".4f"),
            number(row["iqm"], ".4f"),
            interval(row["low"], row["high"], ".4f"),
            number(row["best"], ".0%"),
            number(row["rank"], ".2f"),
        ]
        if init in rivals.index:
            rival = rivals.loc[init]
            behind = number(100 * rival["difference"], ".2f")
            cells += [behind, interval(100 * rival["low"], 100 * rival["high"], ".2f"), p_value(rival["p_holm"])]
        rows.append((str(init), [*cells, *[""] * (8 - len(cells))]))
    columns = ["mean test accuracy", "interquartile mean", "its 95 %", "probability of being best", "average rank"]
    behind_best = ["behind the best by", "its 95 %", "p (Holm)"]
    return Table("", [*columns, *behind_best], rows, {"scored": "yes"}, note=_ranks(comparison))


def _ranks(comparison: Comparison) -> str:
    ranks, smallest = comparison.ranks, int(comparison.everywhere.groupby(level="task").size().min())
    note = "Differences are in percentage points."
    if smallest < SEEDS_NEEDED[len(comparison.rankings) > 1]:
        note += f" Intervals take {SEEDS_NEEDED[0]} seeds of one task, or {SEEDS_NEEDED[1]} of each of several."
    if math.isnan(ranks.critical_difference):
        return note
    return (
        f"{note} Average ranks are over {ranks.blocks} blocks (task, seed); two differ "
        f"if they are further apart than {ranks.critical_difference:.2f} (Nemenyi, 5 %); Friedman's test of all at "
        f"once: p = {p_value(ranks.friedman_p)}."
    )


def every_two(comparison: Comparison) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Headings and, for each two initializers, the higher, the lower and cells; in the order of the overall table."""
    difference, improvement = ["difference, points", "its 95 %"], ["probability of improvement", "its 95 %"]
    columns = ["pairs of runs", *difference, "p", "p (Holm)", *improvement]
    place = {init: position for position, init in enumerate(comparison.overall.index)}
    pairs = comparison.pairs.to_dict("records")
    rows = []
    for row in sorted(pairs, key=lambda row: [place.get(row[side], len(place)) for side in ("a", "b")]):
        cells = [
            str(int(row["pairs"])),
            number(100 * row["difference"], "+.2f"),
            interval(100 * row["low"], 100 * row["high"], "+.2f"),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            number(row["improvement"], ".2f"),
            interval(row["improvement_low"], row["improvement_high"], ".2f"),
        ]
        rows.append((str(row["a"]), str(row["b"]), cells))
    return columns, rows


def of_task(ranking: Ranking) -> Table:
    """A ranking; columns that say nothing are left out."""
    outcomes = [status for status in OUTCOMES[1:] if ranking.table[status].any()]
    rates = ["learning rate"] * ranking.has_choice
    columns = [*rates, "test accuracy", f"reach {_share(ranking.target)}", "median steps to it", "runs", *outcomes]
    rows = []
    for init, row in ranking.table.iterrows():
        cells = [
            *(number(row["lr"], "g") for _ in rates),
            number(row["mean"], ".4f") + _half_width(row["half_width"]),
            number(row["hit_rate"], ".0%"),
            steps(row["median_steps"]),
            str(int(row["runs"])),
            *(str(int(row[status])) for status in outcomes),
        ]
        rows.append((str(init), cells))
    return Table("", columns, rows, {"task": ranking.task, "scored": "yes"})


def details(comparison: Comparison, ranking: Ranking) -> Iterator[Table]:
    """What stands behind a ranking: each learning rate, each target, and other means."""
    yield from _rates(comparison.runs[comparison.runs["task"] == ranking.task], ranking)
    yield from _times(ranking)
    yield _means(ranking)


def _rates(runs: pd.DataFrame, ranking: Ranking) -> Iterator[Table]:
    sensitivity = lr_sensitivity(runs)
    rates = sorted(sensitivity["lr"].unique())
    if len(rates) < 2:
        return
    good = good_range(sensitivity, chance=float(runs["chance"].max()))
    found = {(row.init, row.lr): row for row in sensitivity.itertuples()}

    def cell(init: str, rate: float) -> str:
        row = found.get((init, rate))
        if row is None:
            return "-"
        diverged = f" ({row.diverged} diverged)" if row.diverged else ""
        return f"{row.mean:.4f}{_half_width(row.half_width)}{diverged}"

    def within(init: str) -> str:
        return f"{good.at[init, 'low']:g} to {good.at[init, 'high']:g}" if init in good.index else "-"

    rows = [(init, [*(cell(init, rate) for rate in rates), within(init)]) for init in map(str, ranking.table.index)]
    columns = [f"{rate:g}" for rate in rates]
    yield Table(
        "At each learning rate",
        [*columns, "good within a point"],
        rows,
        {"task": ranking.task},
        [*({"lr": rate} for rate in columns), {}],
        "Mean final validation accuracy over all seeds, with its 95 % interval.",
    )


def _times(ranking: Ranking) -> Iterator[Table]:
    """For each target that some run reached, who did, when, and whether that differs."""
    ended = ranking.scored[ranking.scored["score"].notna()]
    columns = ["runs that reach it (95 %)", "median steps", "median seconds", "restricted mean steps (95 %)"]
    for target in targets_of(ended):
        if not ended[f"steps_to_{target}"].notna().any():
            continue
        rows = []
        for init, row in times_to(ended, target).iterrows():
            mean = f"{row['mean_steps']:.0f} ({interval(row['mean_low'], row['mean_high'], '.0f')})"
            cells = [
                f"{number(row['hit_rate'], '.0%')} ({interval(row['hit_low'], row['hit_high'], '.0%')})",
                steps(row["median_steps"]),
                "never" if math.isinf(row["median_seconds"]) else number(row["median_seconds"], ".1f"),
                mean.replace(" ()", ""),
                p_value(row["p"]),
            ]
            rows.append((str(init), cells))
        title, shown = f"Time to {_share(target)}", [*columns, "p (log-rank, Holm)"]
        yield Table(title, shown, rows, {"task": ranking.task, "scored": "yes"})


def _means(ranking: Ranking) -> Table:
    columns = [column for column in _MEANS if column in ranking.scored]
    means = ranking.scored.groupby("init")[columns].mean()
    rows = [(init, [number(means.at[init, column], ".4g") for column in columns]) for init in ranking.table.index]
    names = [_MEANS[column] for column in columns]
    runs = {"task": ranking.task, "scored": "yes"}
    return Table("More numbers", names, rows, runs, note="Means over the scored runs.")


def interval(low: float, high: float, form: str) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{low:{form}} to {high:{form}}"


def p_value(value: float) -> str:
    """Two digits, and never 0."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _half_width(value: float) -> str:
    return "" if math.isnan(value) else f" ± {value:.4f}"


def _share(target: str | None) -> str:
    """A target as a percentage without trailing zeros: 0.985 is 98.5%."""
    return "a target" if target is None else f"{100 * float(target):.4g}%"
