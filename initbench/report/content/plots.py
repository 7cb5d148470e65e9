"""The plots of a report: those of a comparison as a whole, and those of each workload."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.loading.workload_names import workload_configs
from initbench.analysis.statistics.student import mean_interval
from initbench.analysis.statistics.survival import kaplan_meier
from initbench.analysis.workload.depth import QUANTITIES, median_curves
from initbench.analysis.workload.learning_curves import load_curves, mean_curves, stored_curves, thinned
from initbench.analysis.workload.lr_sensitivity import lr_sensitivity
from initbench.analysis.workload.ranking import Ranking, targets_of
from initbench.analysis.workload.time_to_target import observed
from initbench.metric import ACCURACY, Metric
from initbench.record.naming import varying
from initbench.report.content.plot import Plot, View

_CLOCKS = {"step": "steps", "seconds": "seconds of training and initialization"}
_SHARES = ("dead", "saturated")
_GAPS = "On a log axis, zeros leave gaps, and a band that reaches zero is cut off at the lowest value drawn."


def _label(column: str) -> str:
    """A column of histories in words."""
    stage, _, name = column.partition("/")
    return f"{'validation' if stage == 'val' else 'training'} {name}"


def learning_curves(ranking: Ranking, metric: Metric, points: int) -> Plot | None:
    """Mean over seeds, with the range between the lowest and the highest, by steps and by seconds."""
    curves, broken = load_curves(ranking.scored[ranking.scored["score"].notna()], metric)
    means = mean_curves(curves)
    if not means:
        return None
    stored = stored_curves(metric)
    # The error's log axis tells apart what is good, where nothing is perfect.
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
    )


def survival_curves(ranking: Ranking, metric: Metric) -> Plot | None:
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
        f"survival-{ranking.workload_id}",
        "Not yet at the target",
        f"The share of runs whose validation {metric.name} has not reached the target (Kaplan-Meier, 95 % band). "
        "A diverged run counts as never reaching it.",
        series,
        dict.fromkeys(targets, "steps"),
        {target: f"share of runs not yet at {metric.target(target)}" for target in targets},
        [("target", [(target, metric.target(target)) for target in targets])],
        _runs(ranking),
        step=True,
        unit_y=True,
    )


def sensitivity(runs: pd.DataFrame, ranking: Ranking, metric: Metric) -> Plot | None:
    """The score on validation, and how far it is from perfect, against the learning rate, where there were several."""
    table = lr_sensitivity(runs[runs["workload"] == ranking.workload])
    if table["lr"].nunique() < 2:
        return None
    value = f"val/{metric.name}"
    keys = _error_first(table["mean"], metric, value, "val/error")
    series: dict[str, dict[str, View]] = {}
    for init, rows in table.groupby("init"):
        views = _views(rows["mean"], rows["mean"] - rows["half_width"], rows["mean"] + rows["half_width"], metric, keys)
        series[str(init)] = {key: {"x": rows["lr"], "y": y, "low": low, "high": high} for key, (y, low, high) in views}
    return Plot(
        f"lr-{ranking.workload_id}",
        "Learning rate",
        "Mean final validation score over all seeds at each learning rate, with its 95 % interval (Student's t). "
        f"A diverged run scores chance. {_GAPS}",
        {init: series[init] for init in map(str, ranking.table.index) if init in series},
        dict.fromkeys(keys, "learning rate"),
        {key: _label(key) for key in keys},
        [("what", [(key, _label(key)) for key in keys])],
        {"workload": ranking.workload_id},
        {key: "xy" if key == "val/error" else "x" for key in keys},
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


def forest(findings: Findings, metric: Metric, number: int) -> Plot:
    """The interquartile mean of every initializer over all workloads of a comparison, best first."""
    table = findings.overall
    error = "test error" if metric == ACCURACY else f"1 - {metric.label}"
    keys = _error_first(table[["iqm", "high"]].max(), metric, metric.label, error)
    series: dict[str, dict[str, View]] = {}
    for init, row in table.iterrows():
        views = _views(row["iqm"], row["low"], row["high"], metric, keys)
        series[str(init)] = {
            key: {"x": [x], "y": [init], "low": [low], "high": [high]} for key, (x, low, high) in views
        }
    return Plot(
        f"ranking{_numbered(number)}",
        "Interquartile mean",
        f"Interquartile mean of {metric.label} over all workloads and seeds; 95 % interval by stratified bootstrap."
        f"{' Errors are shown on a log axis.' * (len(keys) > 1)}",
        series,
        {key: key for key in keys},
        dict.fromkeys(keys, ""),
        [("what", [(key, key) for key in keys])],
        {"scored": "yes"},
        {"test error": "x"},
        forest=True,
    )


def profile(comparison: Comparison) -> Plot | None:
    """Dolan and Moré's performance profile, where there are several workloads."""
    if comparison.main is None or len(comparison.main.workloads) < 2:
        return None
    table = comparison.profile
    if not (table.to_numpy() > 0).any():  # nobody reached any target, or there is none
        return None
    table.loc[1.1 * table.index[-1]] = table.iloc[-1]  # what holds at the last ratio holds beyond, and is seen to
    series: dict[str, dict[str, View]] = {
        str(init): {"tau": {"x": table.index, "y": table[init]}} for init in comparison.main.overall.index
    }
    return Plot(
        "profile",
        "Performance profile",
        "The share of workloads in which the median run reaches the target within a given multiple of the fastest "
        "initializer's steps (Dolan and Moré, 2002). The value at 1 says how often an initializer is the fastest, the "
        "value at the right how often it reaches the target at all.",
        series,
        {"tau": "steps, as a multiple of the fastest"},
        {"tau": "share of workloads"},
        runs={"scored": "yes"},
        log={"tau": "x"},
        step=True,
        unit_y=True,
    )


def against_key(comparison: Comparison) -> Plot | None:
    """Score against the one number in which the workloads differ (a depth, a width), if there is one."""
    main, metric = comparison.main, comparison.metric
    if main is None or len(main.workloads) < 2:
        return None
    runs = comparison.runs[comparison.runs["workload"].isin(main.workloads)]
    configs = workload_configs(runs) if runs["workload_config"].notna().all() else {}
    keys = varying(configs)
    numeric = [key for key, values in keys.items() if all(isinstance(v, int | float) for v in values.values())]
    if len(numeric) != 1 or len(keys) != 1:
        return None
    key = numeric[0]
    ids = dict(zip(runs["workload"], runs["workload_id"], strict=True))
    series: dict[str, dict[str, View]] = {}
    for init in map(str, main.overall.index):
        rows = []
        for workload, values in main.scores[init].dropna().groupby(level="workload"):
            mean, half_width = mean_interval((metric.sign * values).tolist())
            rows.append((keys[key][ids[str(workload)]], mean, mean - half_width, mean + half_width))
        x, y, low, high = zip(*sorted(rows), strict=True)
        series[init] = {key: {"x": x, "y": y, "low": low, "high": high}}
    is_wide = max(keys[key].values()) >= 10 * max(min(keys[key].values()), 1)
    return Plot(
        "against",
        f"{metric.label.capitalize()} against {key}",
        "Mean over seeds with its 95 % interval (Student's t).",
        series,
        {key: key},
        {key: metric.label},
        runs={"scored": "yes"},
        log={key: "x" * is_wide},
        markers=True,
    )


Plots = dict[str | None, list[Plot]]  # of the study as a whole (under None), then of each workload by its id


def plots(comparison: Comparison) -> Plots:
    """All plots of a report."""
    metric = comparison.metric
    curves = sum(len(ranking.table) for ranking in comparison.rankings)
    points = max(30, min(200, 30_000 // max(curves, 1)))
    forests = [forest(findings, metric, number) for number, findings in enumerate(comparison.findings)]
    found: dict[str | None, list[Plot | None]] = {None: [*forests, against_key(comparison), profile(comparison)]}
    for ranking in reversed(comparison.rankings):
        found[ranking.workload_id] = [
            learning_curves(ranking, metric, points),
            survival_curves(ranking, metric),
            sensitivity(comparison.runs, ranking, metric),
            through_depth(ranking),
        ]
    return {place: [plot for plot in group if plot is not None] for place, group in found.items()}


def _numbered(number: int) -> str:
    return f"-{number + 1}" if number else ""


def _views(
    middle: Any, low: Any, high: Any, metric: Metric, keys: Sequence[str]
) -> list[tuple[str, tuple[Any, Any, Any]]]:
    """Scores as they are plotted: as values of the metric, and as the distance from a perfect one."""
    found = []
    for key in keys:
        if key.endswith("error") and metric.perfect is not None:
            found.append((key, (metric.perfect - middle, metric.perfect - high, metric.perfect - low)))
        else:
            ends = (low, high) if metric.higher_is_better else (-high, -low)
            found.append((key, (metric.sign * middle, *ends)))
    return found


def _runs(ranking: Ranking) -> dict[str, str]:
    return {"workload": ranking.workload_id, "scored": "yes"}


def _error_first(scores: pd.Series, metric: Metric, value: str, error: str) -> list[str]:
    """The views of a share: first how far it is from perfect, unless one is perfect, which a log axis cannot show."""
    if not (metric.is_share and metric.higher_is_better and metric.perfect is not None):
        return [value]
    return [error, value] if scores.max() < metric.perfect else [value, error]


def _not_drawn(broken: Sequence[str]) -> str:
    """A sentence about the runs whose file cannot be read."""
    if not broken:
        return ""
    more = " and more" if len(broken) > 5 else ""
    return f" Not drawn because their files cannot be read: {', '.join(broken[:5])}{more}."
