"""The plots of a comparison over its workloads."""

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.loading.workload_names import workload_configs
from initbench.analysis.statistics.student import mean_interval
from initbench.metric import ACCURACY, Metric
from initbench.record.naming import varying
from initbench.report.content.metric_views import metric_views, view_keys
from initbench.report.content.plot import Plot, View


def forest_plot(findings: Findings, metric: Metric, number: int) -> Plot:
    """The interquartile mean of every initializer over all workloads of a comparison, best first."""
    table = findings.overall
    error = "test error" if metric.name == ACCURACY.name else f"1 - {metric.label}"
    keys = view_keys(table[["iqm", "high"]].max(), metric, metric.label, error)
    series: dict[str, dict[str, View]] = {}
    for init, row in table.iterrows():
        views = metric_views(row["iqm"], row["low"], row["high"], metric, keys)
        series[str(init)] = {
            key: {"x": [x], "y": [init], "low": [low], "high": [high]} for key, (x, low, high) in views
        }
    return Plot(
        f"ranking-{number + 1}" if number else "ranking",
        "Interquartile mean",
        f"Interquartile mean of {metric.label} over all workloads and seeds; 95% interval by stratified bootstrap."
        f"{' Errors are shown on a log axis.' * (len(keys) > 1)}",
        series,
        {key: key for key in keys},
        dict.fromkeys(keys, ""),
        [("what", [(key, key) for key in keys])],
        {"scored": "yes"},
        {"test error": "x"},
        forest=True,
    )


def profile_plot(comparison: Comparison) -> Plot | None:
    """Dolan and Moré's performance profile, if there are several workloads."""
    if comparison.main is None or len(comparison.main.workloads) < 2:
        return None
    table = comparison.profile
    if not (table.to_numpy() > 0).any():  # no target was reached, or there is none
        return None
    table.loc[1.1 * table.index[-1]] = table.iloc[-1]  # the last value continues, and the plot shows that
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


def config_plot(comparison: Comparison) -> Plot | None:
    """The score against the one number in which the workloads differ (a depth, a width), if there is one."""
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
        "Mean over seeds with its 95% interval (Student's t).",
        series,
        {key: key},
        {key: metric.label},
        runs={"scored": "yes"},
        log={key: "x" * is_wide},
        markers=True,
    )
