"""figures/: well-formed files whose lines are the plot's, and a LaTeX table in which names stay text."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from frames import frame, record
from studies import write_study

from initbench.analysis.comparison import Comparison
from initbench.analysis.frame import load_runs
from initbench.report.page import looks
from initbench.report.paper import draw, latex, write_figures
from initbench.report.plots import plots


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    names = ["orthogonal", "_hidden <b>", "$x_1$"]
    runs = [record(init, n, 0.6 + 0.1 * k + 0.01 * n) for k, init in enumerate(names) for n in range(3)]
    return Comparison(load_runs(write_study(tmp_path / "s", *runs, layers=[1.0, 0.1])))


def test_each_plot_is_an_svg_and_a_pdf(comparison: Comparison, tmp_path: Path) -> None:
    drawn = dict(plots(comparison))
    write_figures(comparison, drawn, tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    task = "mlp-on-mnist-sgd-lr-0.1-100-steps"
    parts = ["ranking", f"curves-{task}", f"survival-{task}", f"depth-{task}"]
    assert names == {f"{part}.{kind}" for part in parts for kind in ("svg", "pdf")} | {"ranking.tex"}
    for svg in (tmp_path / "figures").glob("*.svg"):
        words = "".join(ElementTree.parse(svg).getroot().itertext())  # as text, to be searched and edited
        for init in ("orthogonal", "_hidden <b>", "$x_1$"):
            assert init in words, svg.name
        assert "mathdefault" not in words, svg.name  # matplotlib's own ticks are formulas, which are not parsed here
    for pdf in (tmp_path / "figures").glob("*.pdf"):
        assert pdf.read_bytes().startswith(b"%PDF-")


def test_the_same_runs_give_the_same_bytes(comparison: Comparison, tmp_path: Path) -> None:
    drawn = dict(plots(comparison))
    for folder in ("one", "two"):
        write_figures(comparison, drawn, tmp_path / folder)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_the_lines_are_those_of_the_first_view(comparison: Comparison) -> None:
    for plot in (plot for group in dict(plots(comparison)).values() for plot in group if not plot.forest):
        (axes,) = draw(plot, looks(comparison)).axes
        assert len(axes.lines) == len(plot.series)
        for line, views in zip(axes.lines, plot.series.values(), strict=True):
            assert list(line.get_ydata()) == pytest.approx(list(views[plot.first]["y"]))
        assert axes.get_yscale() == ("log" if "y" in plot.log.get(plot.first, "") else "linear")
        assert axes.get_ylabel().replace("\n", " ") == plot.y_titles[plot.first]


def test_the_table_escapes_names_and_sets_the_best_in_bold() -> None:
    text = latex(Comparison(frame(record("a_b & 50% $x$ {~^\\#}", 0, 0.9), record("other", 0, 0.8))))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[1].startswith(
        r"a\_b \& 50\% \$x\$ \{\textasciitilde{}\textasciicircum{}\textbackslash{}\#\} & \textbf{0.9000} &"
    )
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [8] * 3 + [4] * 3  # all tasks, then the only one
    assert r"\begin{tabular}{lrrrr}" in text
