"""The plots of a report: what is drawn of a comparison as a whole, and of each task."""

import math
from collections.abc import Iterator

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.curves import METRICS, load_curves, mean_curve
from initbench.analysis.depth import QUANTITIES, median_curves
from initbench.analysis.ranking import Ranking, mean_interval, targets_of
from initbench.analysis.sensitivity import lr_sensitivity
from initbench.analysis.survival import kaplan_meier
from initbench.analysis.times import observed
from initbench.analysis.titles import task_configs, varying
from initbench.report.plot import Plot, View

_LABELS = {
    "val/accuracy": "validation accuracy",
    "val/error": "validation error",
    "val/loss": "validation loss",
    "train/loss": "training loss",
    "step": "steps",
    "seconds": "seconds of training and initialization",
}


def learning_curves(ranking: Ranking, points: int) -> Plot | None:
    """Mean over seeds, with the range between the lowest and the highest, by steps and by seconds."""
    curves = load_curves(ranking.scored[ranking.scored["score"].notna()])
    series: dict[str, dict[str, View]] = {}
    present = [metric for metric in METRICS if curves[metric].notna().any()]
    longest = 0
    for init in map(str, ranking.table.index):
        own = curves[curves["init"] == init]
        for metric in present:
            curve = mean_curve(own, metric, points)
            longest = max(longest, own.loc[own[metric].notna(), "step"].nunique())
            values = {"y": curve["mean"], "low": curve["low"], "high": curve["high"]}
            if len(curve):
                views = series.setdefault(init, {})
                views[f"{metric}|step"] = {"x": curve.index, **values}
                views[f"{metric}|seconds"] = {"x": curve["seconds"], **values}
    if not series:
        return None
    keys = [f"{metric}|{clock}" for metric in present for clock in ("step", "seconds")]
    thinned = f" Of {longest} points every {math.ceil(longest / points)}. is drawn." if longest > points else ""
    return Plot(
        f"curves-{ranking.task}",
        "Learning curves",
        f"Mean over seeds; the band reaches from the lowest to the highest seed. Runs that diverge end early.{thinned}",
        series,
        {key: _LABELS[key.split("|")[1]] for key in keys},
        {key: _LABELS[key.split("|")[0]] for key in keys},
        [
            ("what", [(metric, _LABELS[metric]) for metric in present]),
            ("against", [("step", "steps"), ("seconds", "seconds")]),
        ],
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
        {target: f"share of runs below {float(target):.0%}" for target in targets},
        [("target", [(target, f"{float(target):.1%}") for target in targets])],
        step=True,
        unit_y=True,
    )


def sensitivity(runs: pd.DataFrame, ranking: Ranking) -> Plot | None:
    """Validation accuracy against learning rate, where a task was run at several."""
    table = lr_sensitivity(runs[runs["task"] == ranking.task])
    if table["lr"].nunique() < 2:
        return None
    series: dict[str, dict[str, View]] = {}
    for init in map(str, ranking.table.index):
        rows = table[table["init"] == init]
        if len(rows):
            low, high = rows["mean"] - rows["half_width"], rows["mean"] + rows["half_width"]
            series[init] = {"lr": {"x": rows["lr"], "y": rows["mean"], "low": low, "high": high}}
    return Plot(
        f"lr-{ranking.task}",
        "Learning rate",
        "Final validation accuracy over all seeds at each learning rate, with the 95 % interval of the mean "
        "(Student's t). A diverged run scores chance.",
        series,
        {"lr": "learning rate"},
        {"lr": "validation accuracy"},
        log_x=True,
        markers=True,
    )


def through_depth(ranking: Ranking) -> Plot | None:
    """The initialized network layer by layer, median over seeds, where runs were diagnosed."""
    series: dict[str, dict[str, View]] = {}
    names: list[str] = []
    for init in map(str, ranking.table.index):
        curves = median_curves(ranking.scored[ranking.scored["init"] == init])
        for quantity in (q for q in QUANTITIES if q in curves):
            values = curves[quantity].dropna()
            names = list(dict.fromkeys([*names, quantity]))
            view = {"x": range(1, len(values) + 1), "y": values, "text": [str(name) for name in values.index]}
            series.setdefault(init, {})[quantity] = view
    if not series:
        return None
    names = [quantity for quantity in QUANTITIES if quantity in names]
    return Plot(
        f"depth-{ranking.task}",
        "Through depth, before the first step",
        "Median over seeds of each layer of the initialized network, on one batch. On a log axis zeros are gaps.",
        series,
        dict.fromkeys(names, "layer"),
        {name: QUANTITIES[name] for name in names},
        [("what", [(name, QUANTITIES[name]) for name in names])],
        log_y=True,
        markers=True,
    )


def forest(comparison: Comparison) -> Plot | None:
    """Mean score of every initializer over all tasks, best first."""
    table = comparison.overall
    if table.empty:
        return None
    series: dict[str, dict[str, View]] = {
        str(init): {"iqm": {"x": [row["iqm"]], "y": [str(init)], "low": [row["low"]], "high": [row["high"]]}}
        for init, row in table.iterrows()
    }
    return Plot(
        "ranking",
        "Interquartile mean of test accuracy",
        "Over all tasks and seeds, without the lowest and highest quarter; 95 % interval by stratified bootstrap.",
        series,
        {"iqm": "test accuracy"},
        {"iqm": ""},
        forest=True,
    )


def profile(comparison: Comparison) -> Plot | None:
    """Dolan and Moré's performance profile, where there are several tasks."""
    if len(comparison.rankings) < 2 or comparison.everywhere.empty:
        return None
    table = comparison.profile
    if table.empty:
        return None
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
        log_x=True,
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
    return Plot(
        "against",
        f"Test accuracy against {key}",
        "Mean over seeds with its 95 % interval (Student's t).",
        series,
        {key: key},
        {key: "test accuracy"},
        log_x=max(keys[key].values()) >= 10 * max(min(keys[key].values()), 1),
        markers=True,
    )


def plots(comparison: Comparison) -> Iterator[tuple[str | None, list[Plot]]]:
    """The plots of the study as a whole (under None), then those of each task."""
    curves = sum(len(ranking.table) for ranking in comparison.rankings)
    points = max(30, min(200, 40_000 // max(curves, 1)))
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
