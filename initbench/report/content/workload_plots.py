"""The plots of one workload: learning curves, times to targets, learning rates, and depth."""

import math
from collections.abc import Sequence

import pandas as pd

from initbench.analysis.loading.frame import judged_by
from initbench.analysis.statistics.survival import kaplan_meier
from initbench.analysis.workload.depth import QUANTITIES, median_curves
from initbench.analysis.workload.learning_curves import load_curves, mean_curves, stored_curves, thinned
from initbench.analysis.workload.lr_sensitivity import lr_sensitivity
from initbench.analysis.workload.ranking import Ranking, targets_of
from initbench.analysis.workload.time_to_target import observed
from initbench.metric import Metric
from initbench.report.content.metric_views import metric_views, view_keys
from initbench.report.content.plot import Plot, View

_CLOCKS = {"step": "steps", "seconds": "seconds of training and initialization"}
_SHARES = ("dead", "saturated")
_GAPS = "On a log axis, zeros leave gaps, and a band that reaches zero is cut off at the lowest value drawn."


def _label(column: str) -> str:
    """A column of histories in words."""
    stage, _, name = column.partition("/")
    return f"{'validation' if stage == 'val' else 'training'} {'MSE' if name == 'mse' else name}"


def learning_curves(ranking: Ranking, metric: Metric, points: int) -> Plot | None:
    """Means over seeds with the range from the lowest to the highest, by steps and by seconds.

    points: about how many of each curve are drawn. None if no run has a history.
    """
    curves, broken = load_curves(ranking.scored[ranking.scored["score"].notna()], metric)
    means = mean_curves(curves)
    if not means:
        return None
    stored = stored_curves(metric)
    # The error on a log axis tells good runs apart, unless one is perfect.
    is_perfect = any((curve["mean"] == 0).any() for (_, column), curve in means.items() if column == "val/error")
    order = [stored[0], "val/error", *stored[1:]] if is_perfect else ["val/error", *stored]
    present = [column for column in order if any(column == of for _, of in means)]
    series: dict[str, dict[str, View]] = {}
    for init in map(str, ranking.table.index):
        for column in (column for column in present if (init, column) in means):
            curve = thinned(means[init, column], points)
            values = {"y": curve["mean"], "low": curve["low"], "high": curve["high"]}
            views = series.setdefault(init, {})
            views[f"{column}|step"] = {"x": curve.index, **values}
            views[f"{column}|seconds"] = {"x": curve["seconds"], **values}
    clocks = ["step", *(["seconds"] if curves["seconds"].notna().any() else [])]
    keys = [f"{column}|{clock}" for column in present for clock in clocks]
    longest = max(map(len, means.values()))
    every = (
        f" One of every {math.ceil(longest / points)} points is drawn ({longest} in all)." if longest > points else ""
    )
    return Plot(
        f"curves-{ranking.workload_id}",
        "Learning curves",
        "Mean over seeds; the band spans the lowest to the highest seed. Curves of diverged runs end early. "
        f"{_GAPS}{every}{_not_drawn(broken)}",
        series,
        {key: _CLOCKS[key.split("|")[1]] for key in keys},
        {key: _label(key.split("|")[0]) for key in keys},
        [
            ("what", [(column, _label(column)) for column in present]),
            ("against", [(clock, clock.replace("step", "steps")) for clock in clocks]),
        ],
        _runs(ranking),
        {key: "y" for key in keys if not key.startswith(f"{stored[0]}|") or not metric.is_share},
        levels={key: _levels(ranking, metric) for key in keys if key.startswith(f"{stored[0]}|")},
    )


def _levels(ranking: Ranking, metric: Metric) -> dict[str, float]:
    """The value without learning and the best that is possible, of a metric that is no share: a share has an axis."""
    of_data = judged_by(ranking.scored) if ranking.of_records else metric
    known = {"chance": of_data.chance, "best possible": of_data.perfect}
    return {name: value for name, value in known.items() if value and not metric.is_share}


def survival_curves(ranking: Ranking, metric: Metric) -> Plot | None:
    """The share of runs that have not reached each target (Kaplan-Meier); the target of the ranking comes first."""
    ended = ranking.scored[ranking.scored["score"].notna()]
    targets = [t for t in targets_of(ended) if ended[f"steps_to_{t}"].notna().any()]
    if not targets or ranking.is_crossed:  # its bands are of independent runs
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
        f"survival-{ranking.workload_id}",
        "Not yet at the target",
        f"The share of runs whose {metric.of_validation} has not reached the target (Kaplan-Meier, 95% band). "
        "A diverged run counts as never reaching it.",
        series,
        dict.fromkeys(targets, "steps"),
        {target: f"share of runs not yet at {metric.target(target)}" for target in targets},
        [("target", [(target, metric.target(target)) for target in targets])],
        _runs(ranking),
        step=True,
        unit_y=True,
    )


def rate_plot(runs: pd.DataFrame, ranking: Ranking, metric: Metric) -> Plot | None:
    """The validation score, and how far it is from perfect, against the learning rate; None if there was only one."""
    table = lr_sensitivity(runs[runs["workload"] == ranking.workload])
    if table["lr"].nunique() < 2:
        return None
    value = f"val/{metric.name}"
    keys = view_keys(table["mean"], metric, value, "val/error")
    series: dict[str, dict[str, View]] = {}
    for init, rows in table.groupby("init"):
        views = metric_views(
            rows["mean"], rows["mean"] - rows["half_width"], rows["mean"] + rows["half_width"], metric, keys
        )
        series[str(init)] = {key: {"x": rows["lr"], "y": y, "low": low, "high": high} for key, (y, low, high) in views}
    return Plot(
        f"lr-{ranking.workload_id}",
        "Learning rate",
        "Mean final validation score over all seeds at each learning rate, with its 95% interval (Student's t). "
        f"A diverged run scores chance. {_GAPS}",
        {init: series[init] for init in map(str, ranking.table.index) if init in series},
        dict.fromkeys(keys, "learning rate"),
        {key: _label(key) for key in keys},
        [("what", [(key, _label(key)) for key in keys])],
        {"workload": ranking.workload_id},
        {key: "xy" if key == "val/error" else "x" for key in keys},
        markers=True,
    )


def depth_plot(ranking: Ranking) -> Plot | None:
    """The initialized network layer by layer, medians over seeds; None if no run was diagnosed."""
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
        f"depth-{ranking.workload_id}",
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


def _runs(ranking: Ranking) -> dict[str, str]:
    return {"workload": ranking.workload_id, "scored": "yes"}


def _not_drawn(broken: Sequence[str]) -> str:
    """A sentence about the runs whose file cannot be read."""
    if not broken:
        return ""
    more = " and more" if len(broken) > 5 else ""
    return f" Not drawn because their files cannot be read: {', '.join(broken[:5])}{more}."
