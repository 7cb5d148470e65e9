"""A race as a table, and as a plot of how far each initializer was from being out."""

import math

import numpy as np

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.race.raced import Raced
from initbench.analysis.statistics.blocks import Array
from initbench.metric import Metric
from initbench.report.content.plot import Plot, View
from initbench.report.content.table import Table


def race_tables(comparison: Comparison) -> list[Table]:
    """A table for each race; none for one without a seed that all of its initializers have run."""
    return [_race_table(race, comparison) for race in comparison.races if race.course.seeds]


def _race_table(race: Raced, comparison: Comparison) -> Table:
    """Who is in, then who left, the last one first: the seeds that were run, and by whom and how far it was beaten."""
    course, metric = race.course, race.metric
    means = {init: race.scores[: course.seeds, init].mean() for init in course.inside}
    rows = [
        (race.inits[init], ["in", str(course.seeds), metric.cell(means[init]), "", ""])
        for init in sorted(course.inside, key=lambda init: -means[init])
    ]
    for out in reversed(course.exits):
        mean = metric.cell(race.scores[: out.seeds, out.init].mean())
        cells = ["out", str(out.seeds), mean, race.inits[out.by], metric.number(out.lead)]
        rows.append((race.inits[out.init], cells))
    unit = f", {metric.points}" if metric.points else ""
    columns = ["race", "seeds", f"mean {metric.label}", "beaten by", f"by how much{unit}"]
    where = f": {comparison.named(race.workloads[0])}" if len(comparison.races) > 1 else ""
    note = "Only means over the same number of seeds are comparable, and a race that ends early overestimates leads."
    return Table(f"The race{where}", columns, rows, {"scored": "yes"}, note=note).without_empty()


def race_plot(race: Raced, metric: Metric, number: int) -> Plot | None:
    """How far each initializer was behind the best of those that were in, after each seed, and the bounds."""
    if not race.course.looks:
        return None
    scale = 100 if metric.is_share else 1
    exits = {out.init: out for out in race.course.exits}
    series: dict[str, dict[str, View]] = {}
    for init, name in enumerate(race.inits):
        looks = [look for look in race.course.looks if init in look.leads]
        if not looks:
            continue
        seeds = [look.seeds for look in looks]
        leads = np.array([scale * look.leads[init] for look in looks])
        bounds = np.array([scale * look.bounds[init] for look in looks])
        bounds[~np.isfinite(bounds)] = math.nan
        shares = leads / bounds
        if init in exits and exits[init].is_apart:
            shares[-1] = 1.0  # it is out, whatever the sign flips say
        edge = np.fmax(_filled(bounds), leads)
        series[name] = {
            "lead": {"x": seeds, "y": leads.tolist(), "low": leads.tolist(), "high": edge.tolist()},
            "share": {"x": seeds, "y": shares.tolist()},
        }
    views = {
        "lead": f"behind the best{f', {metric.points}' if metric.points else ''}",
        "share": "share of the lead at which it is out",
    }
    leads = np.concatenate([np.empty(0), *(drawn["lead"]["y"] for drawn in series.values())])
    is_wide = leads.size > 0 and leads.max() > 20 * np.median(leads) > 0
    return Plot(
        f"race-{number + 1}" if number else "race",
        "The race",
        "How far each initializer is behind the best one that is in, after each seed. The upper edge of the band is "
        "the lead at which it drops out, interpolated over looks at which nothing can be decided. The bounds are "
        "those of group-sequential sign flips against the best one; an initializer also drops out if another one that "
        "is in beats it, or if, at one early look, every run of it is far worse than every run of another.",
        series,
        dict.fromkeys(views, "seeds"),
        views,
        [("what", [("lead", "leads"), ("share", "shares of the bound")])],
        {"scored": "yes"},
        {"lead": "y" if is_wide else ""},
        markers=True,
        levels={"share": {"out": 1.0}},
    )


def _filled(bounds: Array) -> Array:
    """The bounds, interpolated between those that are known; NaN before the first and after the last."""
    known = np.flatnonzero(np.isfinite(bounds))
    if not known.size:
        return bounds
    return np.interp(np.arange(len(bounds)), known, bounds[known], left=math.nan, right=math.nan)
