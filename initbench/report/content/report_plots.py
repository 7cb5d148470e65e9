"""All plots of a report: those of the study as a whole, then those of each workload."""

from initbench.analysis.comparison.comparison import Comparison
from initbench.report.content.comparison_plots import config_plot, forest_plot, profile_plot
from initbench.report.content.fit_plot import fit_plot
from initbench.report.content.plot import Plot
from initbench.report.content.race import race_plot
from initbench.report.content.workload_plots import depth_plot, learning_curves, rate_plot, survival_curves

Plots = dict[str | None, list[Plot]]  # of the study as a whole (under None), then of each workload by its id


def report_plots(comparison: Comparison) -> Plots:
    """All plots of a report."""
    metric = comparison.metric
    curves = sum(len(ranking.table) for ranking in comparison.rankings)
    points = max(30, min(200, 30_000 // max(curves, 1)))
    forests = [forest_plot(findings, metric, number) for number, findings in enumerate(comparison.findings)]
    races = [race_plot(race, metric, number) for number, race in enumerate(comparison.races)]
    found: dict[str | None, list[Plot | None]] = {
        None: [*forests, *races, config_plot(comparison), profile_plot(comparison)]
    }
    for ranking in reversed(comparison.rankings):
        found[ranking.workload_id] = [
            fit_plot(ranking),
            learning_curves(ranking, metric, points),
            survival_curves(ranking, metric),
            rate_plot(comparison.runs, ranking, metric),
            depth_plot(ranking),
        ]
    return {place: [plot for plot in group if plot is not None] for place, group in found.items()}
