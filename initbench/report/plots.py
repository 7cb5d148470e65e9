"""The plots of a report: what is drawn of a comparison as a whole, and of each task."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.curves import METRICS, load_curves, mean_curves, thinned
from initbench.analysis.depth import QUANTITIES, median_curves
from initbench.analysis.ranking import Ranking, mean_interval, targets_of
from initbench.analysis.sensitivity import lr_sensitivity
from initbench.analysis.survival import kaplan_meier
from initbench.analysis.times import observed
from initbench.analysis.titles import task_configs, varying
from initbench.report.plot import Plot, View

_LABELS = {
    "val/error": "validation error",
    "val/accuracy": "validation accuracy",
    "val/loss": "validation loss",
    "train/loss": "training loss",
    "step": "steps",
    "seconds": "seconds of training and initialization",
}
_SHARES = ("dead", "saturated")
_GAPS = "On a log axis zeros are gaps, and a band that reaches zero ends at the lowest value drawn."


def learning_curves(ranking: Ranking, points: int) -> Plot | None:
    """Mean over seeds, with the range between the lowest and the highest, by steps and by seconds."""
    curves, broken = load_curves(ranking.scored[ranking.scored["score"].notna()])
    means = mean_curves(curves)
    if not means:
        return None
    # The error's log axis tells apart what is good, where nothing is perfect.
    is_perfect = any((curve["mean"] == 0).any() for (_, metric), curve in means.items() if metric == "val/error")
    order = METRICS if is_perfect else ("val/error", *(metric for metric in METRICS if metric != "val/error"))
    present = [metric for metric in order if any(metric == of for _, of in means)]
    series: dict[str, dict[str, View]] = {}
    for init in map(str, ranking.table.index):
        for metric in (metric for metric in present if (init, metric) in means):
            curve = thinned(means[init, metric], points)
            values = {"y": curve["mean"], "low": curve["low"], "high": curve["high"]}
            views = series.setdefault(init, {})
            views[f"{metric}|step"] = {"x": curve.index, **values}
            views[f"{metric}|seconds"] = {"x": curve["seconds"], **values}
    clocks = ["step", *(["seconds"] if curves["seconds"].notna().any() else [])]
    keys = [f"{metric}|{clock}" for metric in present for clock in clocks]
    longest = max(map(len, means.values()))
    every = f" Of {longest} points every {math.ceil(longest / points)}. is drawn." if longest > points else ""
    return Plot(
        f"curves-{ranking.task}",
        "Learning curves",
        "Mean over seeds; the band reaches from the lowest to the highest seed. Runs that diverge end early. "
        f"{_GAPS}{every}{_not_drawn(broken)}",
        series,
        {key: _LABELS[key.split("|")[1]] for key in keys},
        {key: _LABELS[key.split("|")[0]] for key in keys},
        [
            ("what", [(metric, _LABELS[metric]) for metric in present]),
            ("against", [(clock, clock.replace("step", "steps")) for clock in clocks]),
        ],
        _runs(ranking),
        {key: "y" for key in keys if not key.startswith("val/accuracy")},
    )


def survival_curves(ranking: Ranking) -> Plot | None:
    """The share of runs still short of each target, Kaplan-Meier; the hardest reached one first."""
    ended = ranking.scored[ranking.scored["score"].notna()]
    targets = [t for t in targets_of(ended) if ended[f"steps_to_{t}"].notna().any()]
    if not targets:
        return None
    targets = [str(ranking.target), *(t for t in targets if t != ranking.target)]
    series: dict[str, dict[str, View]] = {}
    for init in map(str, ranking.table.index):
        for target in targets:
            times, reached = observed(ended[ended["init"] == init], target)
            if len(times):
                curve = kaplan_meier(times, reached)
                view = {"x": curve.index, "y": curve["survival"], "low": curve["low"], "high": curve["high"]}
                series.setdefault(init, {})[target] = view
    return Plot(
        f"survival-{ranking.task}",
        "Not yet at the target",
        "The share of runs that have not reached the target validation accuracy (Kaplan-Meier, 95 % band). "
        "A run that diverged never will, and counts to the end.",
        series,
        dict.fromkeys(targets, "steps"),
        {target: f"share of runs below {float(target):.4g}" for target in targets},
        [("target", [(target, f"{100 * float(target):.4g}%") for target in targets])],
        _runs(ranking),
        step=True,
        unit_y=True,
    )


def sensitivity(runs: pd.DataFrame, ranking: Ranking) -> Plot | None:
    """Validation error and accuracy against learning rate, where a task was run at several."""
    table = lr_sensitivity(runs[runs["task"] == ranking.task])
    if table["lr"].nunique() < 2:
        return None
    series: dict[str, dict[str, View]] = {}
    for init, rows in table.groupby("init"):
        mean, half = rows["mean"], rows["half_width"]
        series[str(init)] = {
            "val/error": {"x": rows["lr"], "y": 1 - mean, "low": 1 - mean - half, "high": 1 - mean + half},
            "val/accuracy": {"x": rows["lr"], "y": mean, "low": mean - half, "high": mean + half},
        }
    keys = _error_first(table["mean"], "val/")
    return Plot(
        f"lr-{ranking.task}",
        "Learning rate",
        "At the end, over all seeds at each learning rate, with the 95 % interval of the mean (Student's t). "
        f"A diverged run scores chance. {_GAPS}",
        {init: series[init] for init in map(str, ranking.table.index) if init in series},
        dict.fromkeys(keys, "learning rate"),
        {key: _LABELS[key] for key in keys},
        [("what", [(key, _LABELS[key]) for key in keys])],
        {"task": ranking.task},
        {"val/error": "xy", "val/accuracy": "x"},
        markers=True,
    )


def through_depth(ranking: Ranking) -> Plot | None:
    """The initialized network layer by layer, median over seeds, where runs were diagnosed."""
    series: dict[str, dict[str, View]] = {}
    medians, broken = median_curves(ranking.scored)
    for init in (init for init in map(str, ranking.table.index) if init in medians):
        for quantity in (q for q in QUANTITIES if q in medians[init]):
            values = medians[init][quantity].dropna()
            view = {"x": range(1, len(values) + 1), "y": values, "text": [str(name) for name in values.index]}
            series.setdefault(init, {})[quantity] = view
    if not series:
        return None
    names = [quantity for quantity in QUANTITIES if any(quantity in views for views in series.values())]
    return Plot(
        f"depth-{ranking.task}",
        "Through depth, before the first step",
        f"Median over seeds of each layer of the initialized network, on one batch. {_GAPS}{_not_drawn(broken)}",
        series,
        dict.fromkeys(names, "layer"),
        {name: QUANTITIES[name] for name in names},
        [("what", [(name, QUANTITIES[name]) for name in names])],
        _runs(ranking),
        {name: "y" for name in names if name not in _SHARES},
        markers=True,
    )


def forest(comparison: Comparison) -> Plot | None:
    """Mean score of every initializer over all tasks, best first."""
    table = comparison.overall
    if table.empty:
        return None
    series: dict[str, dict[str, View]] = {}
    for init, (iqm, low, high) in zip(map(str, table.index), table[["iqm", "low", "high"]].to_numpy(), strict=True):
        series[init] = {
            "error": {"x": [1 - iqm], "y": [init], "low": [1 - high], "high": [1 - low]},
            "accuracy": {"x": [iqm], "y": [init], "low": [low], "high": [high]},
        }
    keys = _error_first(table[["iqm", "high"]].max())
    return Plot(
        "ranking",
        "Interquartile mean",
        "Of test accuracy or its error (1 - accuracy), over all tasks and seeds, without the lowest and highest "
        "quarter; 95 % interval by stratified bootstrap. An axis of errors is logarithmic.",
        series,
        {key: f"test {key}" for key in keys},
        dict.fromkeys(keys, ""),
        [("what", [(key, f"test {key}") for key in keys])],
        {"scored": "yes"},
        {"error": "x"},
        forest=True,
    )


def profile(comparison: Comparison) -> Plot | None:
    """Dolan and Moré's performance profile, where there are several tasks."""
    if len(comparison.rankings) < 2 or comparison.everywhere.empty:
        return None
    table = comparison.profile
    if table.empty:
        return None
    table.loc[1.1 * table.index[-1]] = table.iloc[-1]  # what holds at the last ratio holds beyond, and is seen to
    series: dict[str, dict[str, View]] = {
        str(init): {"tau": {"x": table.index, "y": table[init]}} for init in comparison.overall.index
    }
    return Plot(
        "profile",
        "Performance profile",
        "The share of tasks in which the median run reaches the task's target within so many times the steps of the "
        "fastest initializer (Dolan and Moré, 2002). At 1: how often it is the fastest; at the right: how often it "
        "gets there at all.",
        series,
        {"tau": "steps, as a multiple of the fastest"},
        {"tau": "share of tasks"},
        runs={"scored": "yes"},
        log={"tau": "x"},
        step=True,
        unit_y=True,
    )


def against_key(comparison: Comparison) -> Plot | None:
    """Score against the one number in which the tasks differ (a depth, a width, a batch size), if there is one."""
    keys = varying(task_configs(comparison.runs))
    numeric = [key for key, values in keys.items() if all(isinstance(v, int | float) for v in values.values())]
    if len(numeric) != 1 or len(keys) != 1 or len(comparison.rankings) < 2:
        return None
    key = numeric[0]
    series: dict[str, dict[str, View]] = {}
    for init in map(str, comparison.overall.index):
        rows = []
        for task, values in comparison.scores[init].dropna().groupby(level="task"):
            mean, half_width = mean_interval(values.tolist())
            rows.append((keys[key][str(task)], mean, mean - half_width, mean + half_width))
        x, y, low, high = zip(*sorted(rows), strict=True)
        series[init] = {key: {"x": x, "y": y, "low": low, "high": high}}
    if not series:
        return None
    is_wide = max(keys[key].values()) >= 10 * max(min(keys[key].values()), 1)
    return Plot(
        "against",
        f"Test accuracy against {key}",
        "Mean over seeds with its 95 % interval (Student's t).",
        series,
        {key: key},
        {key: "test accuracy"},
        runs={"scored": "yes"},
        log={key: "x" * is_wide},
        markers=True,
    )


def plots(comparison: Comparison) -> Iterator[tuple[str | None, list[Plot]]]:
    """The plots of the study as a whole (under None), then those of each task."""
    curves = sum(len(ranking.table) for ranking in comparison.rankings)
    points = max(30, min(200, 30_000 // max(curves, 1)))
    overall = [forest(comparison), against_key(comparison), profile(comparison)]
    yield None, [plot for plot in overall if plot is not None]
    for ranking in reversed(comparison.rankings):
        own = [
            learning_curves(ranking, points),
            survival_curves(ranking),
            sensitivity(comparison.runs, ranking),
            through_depth(ranking),
        ]
        yield ranking.task, [plot for plot in own if plot is not None]


def _runs(ranking: Ranking) -> dict[str, str]:
    return {"task": ranking.task, "scored": "yes"}


def _error_first(accuracies: pd.Series, prefix: str = "") -> list[str]:
    """The views of an accuracy: the error before it, unless one is perfect, which has no place on a log axis."""
    views = [f"{prefix}error", f"{prefix}accuracy"]
    return views if accuracies.max() < 1 else views[::-1]


def _not_drawn(broken: Sequence[str]) -> str:
    """A sentence about the runs whose file cannot be read."""
    if not broken:
        return ""
    return f" Not drawn, as their file cannot be read: {', '.join(broken[:5])}{' and more' if len(broken) > 5 else ''}."
