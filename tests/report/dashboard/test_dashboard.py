"""A comparison on wandb: what the stand-in for its server receives of a study."""

import json
from pathlib import Path
from typing import Any

import pytest
from frames import record
from studies import write_study
from wandb_server import Server

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import load_runs
from initbench.report.__main__ import main
from initbench.report.content.legend import looks
from initbench.report.content.report_plots import report_plots
from initbench.report.dashboard.publish import as_plotly

pytestmark = pytest.mark.usefixtures("wandb_alone")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    runs = [record(init, n, 0.7 + 0.1 * k + 0.01 * n) for k, init in enumerate(("he", "a|b <i>")) for n in (0, 1)]
    return write_study(tmp_path / "depth", *runs, layers=[1.0, 0.0, 0.25])


def test_the_report_becomes_a_workspace_and_a_summary_run(
    study: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(study), "--wandb", "someone/initbench"])
    said = capsys.readouterr().out
    assert f"wandb: {server.url}/someone/initbench?nw=" in said
    (view,) = server.views
    assert view["displayName"] == "initbench: depth"
    ((run_id, summary),) = server.summaries.items()
    assert summary["verdict"].startswith(
        "Two seeds cannot show a significant difference; at least six are needed. a|b <i> has the"
    )

    def held(name: str) -> Any:
        return json.loads(server.files[f"{run_id}/{summary[name]['path']}"])

    ranking = held("ranking")
    rows = [dict(zip(ranking["columns"], row, strict=True)) for row in ranking["data"]]
    assert [(row["init"], pytest.approx(row["mean"])) for row in rows] == [("a|b <i>", 0.805), ("he", 0.705)]
    assert held("pairs")["data"][0][:3] == ["a|b <i>", "he", 2]
    curves = held("Learning curves, mlp on mnist, sgd lr 0_1, 100 steps")
    assert "he" in [trace.get("name") for trace in curves["data"]]


def test_the_figures_are_the_first_views_of_the_plots(study: Path) -> None:
    comparison = Comparison(load_runs(study))
    for plot in (plot for group in report_plots(comparison).values() for plot in group):
        figure = as_plotly(plot, looks(comparison))
        lines = {trace.name: trace for trace in figure.data if trace.name}
        assert set(lines) == set(plot.series)
        for init, views in plot.series.items():
            assert list(lines[init].y) == list(views[plot.first]["y"])
        log = plot.log.get(plot.first, "")
        assert (figure.layout.xaxis.type == "log", figure.layout.yaxis.type == "log") == ("x" in log, "y" in log)
