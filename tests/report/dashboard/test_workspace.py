"""The dashboard that is published, as the stand-in for wandb's server receives it from the real wandb over HTTP."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from wandb_server import KEY, Server

from initbench.metric import ACCURACY
from initbench.report.dashboard import workspace
from initbench.report.dashboard.workspace import publish

pytestmark = pytest.mark.usefixtures("wandb_alone")
PATH = "someone/initbench"
RANKING = pd.DataFrame({"mean": [0.9, float("nan")], "median steps": [120.0, float("inf")]}, index=["he", "zeros"])
CURVES = go.Figure(go.Scatter(y=[0.1, 0.9], name="he"))


def published(folder: Path, study: str = "depth", **changes: Any) -> str:
    given = {
        "verdict": "he wins",
        "metric": ACCURACY,
        "tables": {"ranking 0.9": RANKING},
        "figures": {"curves": CURVES},
    }
    return publish(PATH, study, targets=["0.8", "0.9"], folder=folder, **(given | changes))


def sections(view: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    spec = json.loads(view["spec"]) if isinstance(view["spec"], str) else view["spec"]
    return {part["name"]: part["panels"] for part in spec["section"]["panelBankConfig"]["sections"]}


def runset(view: dict[str, Any]) -> dict[str, Any]:
    (only,) = json.loads(view["spec"])["section"]["runSets"]
    return only


def summary_run(server: Server) -> str:
    (run_id,) = server.runs
    return run_id


def test_the_view_shows_the_studys_runs_by_initializer(server: Server, tmp_path: Path) -> None:
    line = published(tmp_path, study='lr=0.1, "deep" & it\'s')
    (view,) = server.views
    assert line == f"wandb: {server.url}/{PATH}?nw={view['name'][3:-2]}"
    assert (view["entityName"], view["projectName"], view["type"]) == ("someone", "initbench", "project-view")
    assert view["displayName"] == 'initbench: lr_0.1, "deep" & it\'s'  # the library refuses symbols
    shown = runset(view)
    assert shown["grouping"] == [{"section": "config", "name": "init.name.value"}]
    assert shown["filters"]["filterFormat"] == "filterV2"
    assert [
        (leaf["key"]["section"], leaf["key"]["name"], leaf["op"], leaf["value"], leaf.get("connector"))
        for leaf in shown["filters"]["filters"]
    ] == [
        ("run", "group", "=", 'lr=0.1, "deep" & it\'s', None),
        ("run", "jobType", "!=", "summary", "AND"),
    ]
    sent = server.runs[summary_run(server)]
    assert (sent["groupName"], sent["jobType"]) == ('lr=0.1, "deep" & it\'s', "summary")


def test_curves_have_steps_as_x_bands_over_runs_and_logarithms_for_losses(server: Server, tmp_path: Path) -> None:
    published(tmp_path)
    (view,) = server.views
    settings = json.loads(view["spec"])["section"]
    assert settings["settings"]["xAxis"] == "trainer/global_step"
    for part in settings["panelBankConfig"]["sections"]:
        assert part["localPanelSettings"]["xAxis"] == "trainer/global_step"
    assert [
        (*panel["config"]["metrics"], panel["config"]["groupArea"], panel["config"]["yLogScale"])
        for panel in sections(view)["Learning curves"]
    ] == [("val/accuracy", "stddev", False), ("val/loss", "minmax", True), ("train/loss", "minmax", True)]
    for panel in sections(view)["Learning curves"]:
        assert panel["viewType"] == "Run History Line Plot"
        config = panel["config"]
        assert (config["xAxis"], config["groupBy"]) == ("trainer/global_step", "init.name.value")
        assert (config["aggregate"], config["groupAgg"], config["limit"]) == (True, "mean", 100)


def test_bars_are_those_of_the_targets_and_of_test_accuracy(server: Server, tmp_path: Path) -> None:
    published(tmp_path)
    shown = sections(server.views[0])
    bars = shown["Steps to a target"] + shown["Test accuracy"]
    assert [(panel["viewType"], *panel["config"]["metrics"]) for panel in bars] == [
        ("Bar Chart", "summary_metrics.steps_to_0.8"),
        ("Bar Chart", "summary_metrics.steps_to_0.9"),
        ("Bar Chart", "summary_metrics.test/accuracy"),
    ]
    assert all((panel["config"]["groupBy"], panel["config"]["barLimit"]) == ("init.name.value", 100) for panel in bars)


def test_the_table_is_asked_of_the_summary_run_which_the_curves_do_not_contain(server: Server, tmp_path: Path) -> None:
    published(tmp_path)
    text, table = sections(server.views[0])["Verdict"]
    run_id = summary_run(server)
    assert text["config"]["value"] == f"he wins\n\n[Tables and figures]({server.url}/{PATH}/runs/{run_id})"
    pick = table["config"]["panel2Config"]["exp"]["fromOp"]
    assert (pick["name"], pick["inputs"]["key"]["val"]) == ("pick", "ranking 0_9")
    summary = pick["inputs"]["obj"]["fromOp"]
    runs = summary["inputs"]["run"]["fromOp"]
    assert (summary["name"], runs["name"]) == ("run-summary", "project-filteredRuns")
    assert json.loads(runs["inputs"]["filter"]["val"]) == {"name": run_id}
    place = runs["inputs"]["project"]["fromOp"]
    assert place["name"] == "root-project"
    assert {key: value["val"] for key, value in place["inputs"].items()} == {
        "entityName": "someone",
        "projectName": "initbench",
    }
    assert "varName" not in json.dumps(table)  # `runs` would be those of the workspace


def test_publishing_again_updates_the_view_and_the_summary_run(server: Server, tmp_path: Path) -> None:
    first = published(tmp_path)
    (tmp_path / "workspace.json").unlink()  # another machine has none
    assert published(tmp_path, verdict="orthogonal wins", tables={"ranking 0.9": RANKING[:1]}) == first
    (view,) = server.views
    assert sections(view)["Verdict"][0]["config"]["value"].startswith("orthogonal wins")
    run_id = summary_run(server)
    summary = server.summaries[run_id]
    assert (summary["verdict"], summary["ranking 0_9"]["nrows"]) == ("orthogonal wins", 1)
    assert [row["_step"] for row in server.rows[run_id]] == [0, 1]  # it was resumed: no step is there twice
    assert server.exit_codes == {run_id: 0}

    published(tmp_path, study="width")
    assert (len(server.views), len(server.runs)) == (2, 2)


def test_the_summary_run_holds_tables_and_figures(server: Server, tmp_path: Path) -> None:
    published(tmp_path)
    run_id = summary_run(server)
    summary = server.summaries[run_id]
    held = {name: server.files[f"{run_id}/{summary[name]['path']}"] for name in ("ranking 0_9", "curves")}
    assert json.loads(held["ranking 0_9"]) == {
        "columns": ["init", "mean", "median steps"],
        "data": [["he", 0.9, 120.0], ["zeros", None, float("inf")]],
    }
    assert json.loads(held["curves"])["data"][0]["name"] == "he"
    assert summary["verdict"] == "he wins"


@pytest.mark.parametrize(
    "status, words",
    [
        (None, "no API key: `wandb login`"),
        (401, "does not accept the API key"),
        pytest.param(500, "fails (HTTP 500)", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_published_is_kept(
    status: int | None, words: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if status is None:
        monkeypatch.delenv("WANDB_API_KEY")
    else:
        server.status = status
    start = time.perf_counter()
    line = published(tmp_path)
    assert time.perf_counter() - start < 60
    assert line.startswith("not published to wandb: ")
    assert "\n" not in line
    assert words in line
    assert str(tmp_path / "workspace.json") in line

    from wandb_workspaces.workspaces.internal import View, upsert_view2

    published(tmp_path)
    (kept,) = (tmp_path / "wandb").glob("offline-run-*")  # of the second: two would be doubled
    server.status = 200
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    command = [sys.executable, "-m", "wandb", "sync", str(kept)]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    assert server.summaries[summary_run(server)]["verdict"] == "he wins"
    upsert_view2(View.model_validate_json((tmp_path / "workspace.json").read_text()))
    assert len(sections(server.views[0])["Learning curves"]) == 3


def test_where_nobody_listens_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    start = time.perf_counter()
    assert "does not answer (connection refused)" in published(tmp_path)
    assert time.perf_counter() - start < 60


def test_a_server_that_dies_in_the_middle_costs_the_timeout(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "FINISH_TIMEOUT_S", 2.0)
    server.dies_at = ("CreateRunFiles", 0)  # the run has begun
    start = time.perf_counter()
    line = published(tmp_path)
    assert time.perf_counter() - start < 60
    (kept,) = (tmp_path / "wandb").glob("run-*")
    assert line.startswith("not published to wandb: not all was uploaded")
    assert line.endswith(f"wandb sync {kept}")


def test_a_server_that_dies_before_the_summary_run_begins_leaves_it_offline(server: Server, tmp_path: Path) -> None:
    server.dies_at = ("UpsertBucket", 0)
    start = time.perf_counter()
    line = published(tmp_path)
    assert time.perf_counter() - start < 60
    (kept,) = (tmp_path / "wandb").glob("offline-run-*")
    assert line.startswith("not published to wandb: ")
    assert line.endswith(f"wandb sync {kept}")


def test_a_server_that_dies_before_the_view_is_saved_has_the_summary_run(server: Server, tmp_path: Path) -> None:
    server.dies_at = ("UpsertView2", 0)
    line = published(tmp_path)
    assert "does not answer" in line
    assert line.endswith("; summary run: uploaded")
    assert list((tmp_path / "wandb").glob("offline-run-*")) == []  # it would be there twice
    server.dies_at, server.dead = None, False
    assert published(tmp_path).startswith("wandb: ")


@pytest.mark.slow
def test_the_process_of_a_server_that_died_ends(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.dies_at = ("CreateRunFiles", 0)
    script = f"""
from pathlib import Path
from initbench.metric import ACCURACY
from initbench.report.dashboard import workspace
workspace.FINISH_TIMEOUT_S = 2.0
given = dict(verdict="", metric=ACCURACY, tables={{}}, figures={{}}, targets=[], folder=Path({str(tmp_path)!r}))
print(workspace.publish({PATH!r}, "depth", **given))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("not published to wandb: not all was uploaded")
    assert done.stderr == ""


@pytest.mark.parametrize("path", ["initbench", "a/b/c", "", "a b/c"])
def test_a_path_is_entity_and_project(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give entity/project"):
        publish(path, "s", verdict="", metric=ACCURACY, tables={}, figures={}, targets=[], folder=tmp_path)
    assert list(tmp_path.glob("workspace.json")) == []
