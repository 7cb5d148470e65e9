"""The panels of a study's workspace on wandb, as wandb-workspaces's model of a saved view."""

import hashlib
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from initbench.metric import Metric

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import BarPlot, LinePlot, WeavePanel
    from wandb_workspaces.workspaces.internal import View

STEP = "trainer/global_step"
# The loggers send `init.name` as one flat key: the dot is part of it, and wandb's own ".value" comes after.
INIT = "init.name.value"
MOST = 100  # runs, bars and lines of a panel; wandb's default of ten would hide initializers


def dashboard(
    entity: str,
    project: str,
    study: str,
    *,
    verdict: str,
    metric: Metric,
    tables: Mapping[str, str],
    targets: Sequence[str],
    run_id: str,
) -> "View":
    """The view "initbench: <study>"; tables: by title their keys in the summary of the run `run_id`."""
    import wandb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is written for an older pydantic
        import wandb_workspaces.reports.v2.interface as wr
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr

    url = f"{wandb.setup(wandb.Settings(silent=True)).settings.app_url.rstrip('/')}/{entity}/{project}/runs/{run_id}"
    text = wr.MarkdownPanel(markdown=f"{verdict}\n\n[Tables and figures]({url})")
    shown = [_table(entity, project, run_id, held) for held in tables.values()]
    sections: dict[str, tuple[int, list[Any]]] = {
        "Verdict": (2, [text, *shown]),
        "Learning curves": (
            3,
            [
                *([] if metric.name == "loss" else [_curve(f"val/{metric.name}", "stddev")]),
                _curve("val/loss", "minmax", log=True),
                _curve("train/loss", "minmax", log=True),
            ],
        ),
        "Steps to a target": (3, [_bars(f"steps_to_{target}") for target in targets]),
        metric.label.capitalize(): (1, [_bars(f"test/{metric.name}")]),
    }
    view = ws.Workspace(
        entity=entity,
        project=project,
        name=f"initbench: {_plain(study)}",
        sections=[
            ws.Section(
                name=name,
                panels=panels,
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=columns, rows=-(-len(panels) // columns)),
                panel_settings=ws.SectionPanelSettings(x_axis=STEP),
            )
            for name, (columns, panels) in sections.items()
            if panels
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=MOST),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config(INIT)],
            pinned_columns=[f"summary:test/{metric.name}", "summary:status", "config:seed.value"],
        ),
    )._to_model()
    view.name = f"nw-{hashlib.sha256(study.encode()).hexdigest()[:11]}-v"  # the form that URLs of the app need
    # Not through RunsetSettings, which parses a string and misreads a study called "lr=0.1".
    runs = expr.And(expr.Metric("Group") == study, expr.Metric("JobType") != "summary")
    view.spec.section.run_sets[0].filters = expr.filters_tree_to_v2(runs.to_model())
    return view


def short_name(name: str) -> str:
    """The name of a view in URLs of the app and in look-ups of the library."""
    return name.removeprefix("nw-").removesuffix("-v")


def _curve(metric: str, band: Literal["stddev", "minmax"], *, log: bool = False) -> "LinePlot":
    """Mean over the runs of an initializer against optimizer steps. A log axis needs a band that stays positive."""
    import wandb_workspaces.reports.v2.interface as wr

    return wr.LinePlot(
        title=f"{metric}: mean and {'range' if band == 'minmax' else 'standard deviation'} over seeds",
        x=STEP,
        y=[metric],
        title_x="optimizer steps",
        log_y=log,
        groupby=INIT,
        groupby_aggfunc="mean",
        groupby_rangefunc=band,
        max_runs_to_show=MOST,
    )


def _bars(metric: str) -> "BarPlot":
    """Mean and range over the runs of an initializer that have the metric; of a target, those that reached it."""
    import wandb_workspaces.reports.v2.interface as wr

    return wr.BarPlot(
        title=f"{metric}: mean and range over the runs that reached it"
        if "_to_" in metric
        else f"{metric}: mean and range",
        metrics=[wr.SummaryMetric(metric)],
        groupby=INIT,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=MOST,
        max_bars_to_show=MOST,
    )


def _table(entity: str, project: str, run_id: str, held: str) -> "WeavePanel":
    """A table of the summary run, which is not among the runs of the workspace that the library's panel reads."""
    import wandb_workspaces.reports.v2.interface as wr

    config = wr.WeavePanelSummaryTable(table_name=held)._to_model().config
    summary = config["panel2Config"]["exp"]["fromOp"]["inputs"]["obj"]["fromOp"]["inputs"]
    runs = {
        "project": {
            "nodeType": "output",
            "type": {
                "type": "tagged",
                "tag": {"type": "typedDict", "propertyTypes": {"entityName": "string", "projectName": "string"}},
                "value": "project",
            },
            "fromOp": {"name": "root-project", "inputs": {"entityName": _text(entity), "projectName": _text(project)}},
        },
        "filter": _text(f'{{"name":"{run_id}"}}'),
        "order": _text("-createdAt"),
    }
    summary["run"] = {
        "nodeType": "output",
        "type": summary["run"]["type"],  # the library declares `runs` as what this operation returns
        "fromOp": {"name": "project-filteredRuns", "inputs": runs},
    }
    return wr.WeavePanel(config=config)


def _plain(name: str) -> str:
    """A name without symbols: to exclude emojis, the library refuses all of them in a view's name, even `=`."""
    return "".join("_" if unicodedata.category(char)[0] == "S" else char for char in name)


def _text(value: str) -> dict[str, Any]:
    return {"nodeType": "const", "type": "string", "val": value}
