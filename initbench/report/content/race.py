"""A race as a table, and as a plot of how far each initializer was from being out."""

import math

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.race.raced import Raced
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
    columns = ["race", "seeds", f"mean {metric.label}", "out by", f"its lead{unit}"]
    where = f": {comparison.named(race.workloads[0])}" if len(comparison.races) > 1 else ""
    note = "Means are over the seeds of each initializer, so only those of equal numbers of seeds can be compared."
    return Table(f"The race{where}", columns, rows, {"scored": "yes"}, note=note).without_empty()


def race_plot(race: Raced, metric: Metric, number: int) -> Plot | None:
    """How far each initializer was behind the best of those that were in, after each seed."""
    if not race.course.looks:
        return None
    views: dict[str, tuple[str, str]] = {
        "share": ("of the lead at which it is out", "distance to the boundary: 1 is out"),
        "lead": ("in points" if metric.is_share else "as a difference", f"behind the best, {metric.points or 'mean'}"),
    }
    series: dict[str, dict[str, View]] = {}
    exits = {out.init: out for out in race.course.exits}
    for init, name in enumerate(race.inits):
        looks = [look for look in race.course.looks if init == look.best or init in look.leads]
        points = [(look.seeds, *_behind(init, look.leads, look.bounds)) for look in looks]
        if init in exits and exits[init].is_apart:
            points[-1] = (*points[-1][:2], 1.0)  # it is out, whatever the sign flips say
        seeds, leads, shares = zip(*points, strict=True)
        scale = 100 if metric.is_share else 1
        series[name] = {
            "share": {"x": seeds, "y": shares},
            "lead": {"x": seeds, "y": [scale * lead for lead in leads]},
        }
    return Plot(
        f"race-{number + 1}" if number else "race",
        "The race",
        "How far each initializer is behind the best one that is in, after each seed. An initializer is out where its "
        "line reaches 1: its distance is then as large as chance rarely makes it at any look (group-sequential sign "
        "flips), or every run of it is worse than every run of another. Lines that stay below 1 are of those that are "
        "in.",
        series,
        dict.fromkeys(views, "seeds"),
        {key: title for key, (_, title) in views.items()},
        [("what", [(key, label) for key, (label, _) in views.items()])],
        {"scored": "yes"},
        markers=True,
        levels={"share": {"out": 1.0}},
    )


def _behind(init: int, leads: dict[int, float], bounds: dict[int, float]) -> tuple[float, float]:
    """How far behind the best, and as a share of the distance at which it is out; NaN while nothing can be decided."""
    if init not in leads:
        return 0.0, 0.0
    bound = bounds[init]
    return leads[init], leads[init] / bound if 0 < bound < math.inf else math.nan
