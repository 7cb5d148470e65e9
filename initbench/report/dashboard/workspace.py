"""The dashboard of a study on Weights & Biases: a saved workspace, and a run that holds the study's own numbers.

The name of the view follows from the study, so that publishing again updates it, from any machine. Changes made by hand
are then overwritten; a copy made in the app ("save as new view") stays.
"""

import hashlib
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import plotly.graph_objects as go

from initbench.metric import Metric
from initbench.record.store import atomic_write
from initbench.report.dashboard.panels import dashboard, short_name
from initbench.wandb_client import PATIENCE, Unavailable, connected, of_our_own, reason, split_path

if TYPE_CHECKING:
    from wandb import Run
    from wandb_workspaces.workspaces.internal import View

PUBLISHED = "wandb: "  # how the line begins if all went well
INIT_TIMEOUT_S = 10.0
FINISH_TIMEOUT_S = 30.0


def publish(
    path: str,
    study: str,
    *,
    verdict: str,
    metric: Metric,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, go.Figure],
    targets: Sequence[str],
    folder: Path,
) -> str:
    """Build or update the workspace "initbench: <study>" in `path`, "entity/project"; return a line with its address.

    It shows the runs whose group is `study`, grouped by `init.name`: learning curves against `trainer/global_step`,
    steps to each of `targets` ("0.9"), scores, and `verdict` and `tables` of the summary run. That run
    has job_type "summary" and holds `tables` (an index becomes the first column, `init` if it has no name), `figures`
    and, in its summary, `verdict`. Publishing again resumes it, and its summary has the latest values.

    The spec is also written to `<folder>/workspace.json`, as a `wandb_workspaces.workspaces.internal.View`. If wandb
    cannot be reached, the summary run is logged offline under `folder`, and the line says what was wrong and how to
    upload it. Raises ValueError if `path` is not "entity/project".
    """
    entity, project = split_path(path)
    digest = hashlib.sha256(f"{study}\n{folder.resolve()}".encode()).hexdigest()
    run_id = f"summary-{digest[:12]}"
    names = {name: key(name) for name in tables}
    view = dashboard(
        entity, project, study, verdict=verdict, metric=metric, tables=names, targets=targets, run_id=run_id
    )
    spec = folder / "workspace.json"
    atomic_write(spec, view.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode())
    contents: dict[str, Any] = {"verdict": verdict, "tables": tables, "figures": figures}
    start = {"entity": entity, "project": project, "id": run_id, "name": f"summary of {study}", "group": study}
    logged = ""
    try:
        with connected():
            _log(start, folder, mode="online", **contents)
            logged = "uploaded"
            _save(view)
            return f"{PUBLISHED}{_url(view)}"
    except _Cut as cut:
        problem, logged = str(cut), _sync(cut.folder)
    except Unavailable as error:
        problem = str(error)
    if not logged:
        try:
            logged = _sync(_log(start, folder, mode="offline", **contents))
        except Exception as error:  # a broken wandb must not end the report
            logged = f"not kept ({reason(error)})"
    advice = "Fix this and run the command again."
    return f"not published to wandb: {problem}. {advice} Workspace spec: {spec}; summary run: {logged}"


def key(name: str) -> str:
    """The name of a table or figure on wandb, whose queries read a dot as a path."""
    return name.replace(".", "_")


class _Cut(Exception):  # noqa: N818 - an upload that was cut off, not a mistake
    """The server died before everything was uploaded; the rest is in `folder`."""

    def __init__(self, problem: str, folder: Path) -> None:
        super().__init__(problem)
        self.folder = folder


def _sync(folder: Path) -> str:
    return f"wandb sync {shlex.quote(str(folder))}"


def _log(
    start: Mapping[str, Any],
    folder: Path,
    *,
    mode: Literal["online", "offline"],
    verdict: str,
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, go.Figure],
) -> Path:
    """Log the summary run and return the folder where wandb keeps it.

    Raises _Cut if an upload began and did not finish.
    """
    import wandb

    if mode == "offline":
        wandb.setup(wandb.Settings(silent=True))
        # An older file of the same run would be uploaded, too, and only double it.
        for old in (folder / "wandb").glob(f"offline-run-*-{start['id']}"):
            shutil.rmtree(old)
    settings = wandb.Settings(
        silent=True,
        console="off",
        init_timeout=INIT_TIMEOUT_S,
        finish_timeout=FINISH_TIMEOUT_S,
        finish_timeout_raises=True,
        **PATIENCE,
    )
    try:
        with of_our_own():
            run = wandb.init(
                **start,
                mode=mode,
                job_type="summary",
                dir=folder,
                # A run with the same id that is not resumed starts at step 0 again, and every row appears twice.
                resume="allow",
                reinit="create_new",  # the default hands back a run that is still open
                settings=settings,
            )
    except Exception:  # whatever it is, it is raised again
        with suppress(Exception, SystemExit):  # it exits if the service ended badly
            wandb.teardown()  # otherwise the id stays taken, and the run cannot start offline either
        raise
    kept = Path(run.settings.sync_dir)
    try:
        _fill(run, verdict, tables, figures)
        run.finish()
    except Exception as error:  # whatever the service fails with
        raise _Cut(f"not all was uploaded ({reason(error)})", kept) from error
    return kept


def _fill(run: "Run", verdict: str, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, go.Figure]) -> None:
    import wandb

    media: dict[str, Any] = {key(name): wandb.Plotly(figure) for name, figure in figures.items()}
    for name, table in tables.items():
        if not isinstance(table.index, pd.RangeIndex):
            table = table.reset_index(names=[level or "init" for level in table.index.names])
        columns: list[str | int] = [str(column) for column in table.columns]
        rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
        media[key(name)] = wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
    run.log(media)
    run.summary["verdict"] = verdict


def _save(view: "View") -> None:
    from wandb_workspaces.workspaces.internal import get_view_dict, upsert_view2

    try:
        view.id = get_view_dict(view.entity, view.project, short_name(view.name))["id"]
    except ValueError:  # there is none with this name yet
        view.id = ""
    upsert_view2(view)


def _url(view: "View") -> str:
    import wandb

    return f"{wandb.setup().settings.app_url.rstrip('/')}/{view.entity}/{view.project}?nw={short_name(view.name)}"
