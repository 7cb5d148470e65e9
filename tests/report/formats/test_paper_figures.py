"""figures/: well-formed files whose lines are the plot's, with ticks to read them by."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from fitted import curves_of, write_fits
from frames import record
from matplotlib.figure import Figure
from studies import write_study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import load_runs
from initbench.report.content.legend import looks
from initbench.report.content.plot import Plot
from initbench.report.content.report_plots import report_plots
from initbench.report.formats.paper_figures import draw, write_figures


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    names = ["orthogonal", "_hidden <b>", "$x_1$"]
    runs = [record(init, n, 0.6 + 0.1 * k + 0.01 * n) for k, init in enumerate(names) for n in range(3)]
    return Comparison(load_runs(write_study(tmp_path / "s", *runs, layers=[1.0, 0.1])))


def test_each_plot_is_an_svg_and_a_pdf(comparison: Comparison, tmp_path: Path) -> None:
    write_figures(comparison, report_plots(comparison), tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    workload = "mlp-on-mnist-sgd-lr-0.1-100-steps"
    parts = ["ranking", "ranks", f"curves-{workload}", f"survival-{workload}", f"depth-{workload}"]
    assert names == {f"{part}.{kind}" for part in parts for kind in ("svg", "pdf")}
    for svg in (tmp_path / "figures").glob("*.svg"):
        words = "".join(ElementTree.parse(svg).getroot().itertext())  # as text, to be searched and edited
        for init in ("orthogonal", "_hidden <b>", "$x_1$"):
            assert init in words, svg.name
        assert "mathdefault" not in words, svg.name  # matplotlib's own ticks are formulas, which are not parsed here
    for pdf in (tmp_path / "figures").glob("*.pdf"):
        assert pdf.read_bytes().startswith(b"%PDF-")


def test_figures_of_an_earlier_report_do_not_stay(comparison: Comparison, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    write_figures(comparison, report_plots(comparison), folder)
    for kind in ("svg", "pdf"):
        (folder / f"ranking.{kind}").rename(folder / f"curves-of-another-workload.{kind}")
        (folder / f"depth.{kind}").write_bytes(b"somebody's own")
    (folder / "mine.svg").touch()
    write_figures(comparison, report_plots(comparison), folder)
    assert not list(folder.glob("curves-of-another-workload.*"))
    assert (folder / "ranking.pdf").exists()
    assert {"depth.svg", "depth.pdf", "mine.svg"} <= {path.name for path in folder.iterdir()}


def test_the_same_runs_give_the_same_bytes(comparison: Comparison, tmp_path: Path) -> None:
    drawn = report_plots(comparison)
    for folder in ("one", "two"):
        write_figures(comparison, drawn, tmp_path / folder)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_the_lines_are_those_of_the_first_view(comparison: Comparison) -> None:
    for plot in (plot for group in report_plots(comparison).values() for plot in group if not plot.forest):
        (axes,) = draw(plot, looks(comparison)).axes
        assert len(axes.lines) == len(plot.series)
        for line, views in zip(axes.lines, plot.series.values(), strict=True):
            assert list(line.get_ydata()) == pytest.approx(list(views[plot.first]["y"]))
        assert axes.get_yscale() == ("log" if "y" in plot.log.get(plot.first, "") else "linear")
        assert axes.get_ylabel().replace("\n", " ") == plot.y_titles[plot.first]


def comparison_of_fits(folder: Path, function: str, task: str) -> Comparison:
    runs = [record(init, 0, score) for init, score in (("true function", 0.6), ("_b", 0.7), ("$c", 0.8))]
    return Comparison(load_runs(write_fits(folder, *runs, data=curves_of(function), task=task)))


def fit_of(comparison: Comparison) -> Plot:
    return next(plot for group in report_plots(comparison).values() for plot in group if plot.name.startswith("fit"))


def test_a_fit_is_drawn_over_the_points_and_the_true_function(tmp_path: Path) -> None:
    comparison = comparison_of_fits(tmp_path / "s", "sine", "Regression")
    plot = fit_of(comparison)
    (axes,) = draw(plot, looks(comparison)).axes
    names = [line.get_label() for line in axes.lines]
    assert names == ["test set", "true function", *[" _b" if name == "_b" else name for name in plot.series]]
    assert list(axes.lines[0].get_ydata()) == plot.points["test set"]["y"]


@pytest.mark.parametrize("function, task", [("peaks", "Regression"), ("spirals", "Classification")])
def test_maps_have_a_panel_for_what_is_true_and_for_each_initializer(tmp_path: Path, function: str, task: str) -> None:
    comparison = comparison_of_fits(tmp_path / "s", function, task)
    plot = fit_of(comparison)
    *panels, bar = draw(plot, looks(comparison)).axes
    assert [axes.get_title() for axes in panels] == [*plot.truth, *plot.series]
    colours = [axes.collections[0] for axes in panels]
    (truth,) = plot.truth.values()
    assert list(colours[0].get_array()) == truth["z"]
    assert {tuple(shown.get_clim()) for shown in colours} == {(min(truth["z"]), max(truth["z"]))}
    assert bar.get_ylabel() == plot.z_title
    write_figures(comparison, report_plots(comparison), tmp_path / "figures")
    assert len(list((tmp_path / "figures").glob("fit-*.svg"))) == 1


def labels(figure: Figure, which: str) -> list[str]:
    """What the ticks of an axis say, of those that are within it."""
    figure.draw_without_rendering()
    axis = getattr(figure.axes[0], which)
    low, high = sorted(axis.get_view_interval())
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
@pytest.mark.parametrize(
    "low, high", [(1e-6, 1.0), (0.03, 0.4), (0.0321, 0.0334), (0.9, 1.1), (97.31, 97.32), (5.0, 5.0)]
)
def test_every_axis_has_two_ticks_or_more_that_differ(low: float, high: float, log: str) -> None:
    values = {"x": [low, math.sqrt(low * high), high], "y": [low, math.sqrt(low * high), high]}
    plot = Plot("name", "title", "caption", {"a": {"v": values}}, {"v": "x"}, {"v": "y"}, log={"v": log})
    figure = draw(plot, {"a": {"colour": "#000000", "dash": "solid"}})
    for which in ("xaxis", "yaxis"):
        found = labels(figure, which)
        assert 2 <= len(found) == len(set(found)) <= 9, (which, found)


def test_lines_under_others_are_named_in_the_legend() -> None:
    series = {init: {"v": {"x": [0, 1], "y": [0.1, y]}} for init, y in (("a", 0.1), ("b", 0.1), ("c", 0.9))}
    plot = Plot("name", "title", "caption", series, {"v": "x"}, {"v": "y"})
    figure = draw(plot, {init: {"colour": "#000000", "dash": "solid"} for init in "abc"})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a (hidden by b)", "b", "c"]


# The Chinese name; its letters may be boxes, but must be inside.
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("name", ["x" * 5, "x" * 30, "x" * 75, "x" * 200, "word " * 40, "中" * 15])
def test_the_legend_is_within_the_figure(name: str) -> None:
    series = {f"{n}{name}": {"v": {"x": [0, 1], "y": [n, n + 1]}} for n in range(7)}
    plot = Plot("name", "title", "caption", series, {"v": "x"}, {"v": "y"})
    figure = draw(plot, {init: {"colour": "#000000", "dash": "solid"} for init in series})
    figure.draw_without_rendering()
    box, whole = figure.legends[0].get_window_extent(), figure.bbox
    assert box.x0 >= 0
    assert box.x1 <= whole.x1
    assert figure.axes[0].get_window_extent().height > 0.4 * whole.height - 60


def test_initializers_that_are_all_the_same_are_drawn_without_a_warning(tmp_path: Path) -> None:
    """Their performance profiles have one point."""
    study = write_study(tmp_path / "s", *(record(init, seed, 0.9) for init in "ab" for seed in (0, 1)))
    same = Comparison(load_runs(study))
    write_figures(same, report_plots(same), tmp_path / "figures")
    assert list((tmp_path / "figures").glob("*.svg"))


def test_rows_with_long_names_leave_room_for_their_intervals(tmp_path: Path) -> None:
    names = ["a" * 120, "word " * 30 + "b", "c"]
    runs = [record(name, n, 0.5 + 0.1 * k + 0.01 * n) for k, name in enumerate(names) for n in range(3)]
    long = Comparison(load_runs(write_study(tmp_path / "s", *runs)))
    write_figures(long, report_plots(long), tmp_path / "figures")  # matplotlib warns of axes without room
    assert list((tmp_path / "figures").glob("*.svg"))
