"""What a sweep says at its end: the ranking, where the page is, and an exit code that tells the truth."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from initbench.config.check import check_sweep
from initbench.console import console, errors
from initbench.errors import Unwritable
from initbench.record.damage import readable
from initbench.record.life import mark_dead
from initbench.record.lock import is_held
from initbench.record.store import COMPLETE, check_writable, left_alone, read_record
from initbench.record.sweep_id import begin_sweep
from initbench.status import live
from initbench.status.study import Plan, Study

if TYPE_CHECKING:
    import pandas as pd


class SweepSummary(Callback):
    """Hydra calls it around a multirun, whatever launches the jobs: all it knows it reads from records."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._sweep = begin_sweep()
        try:
            # As typed: there is no job yet that ${hydra:...} could be of.
            _refuse_several_studies(_overrides(config.hydra))
            _refuse_dots(config.hydra)
            check_sweep(config)
            check_writable(config.runs_dir)
        except ValueError as error:
            # Hydra turns an exception of a callback into a warning and goes on.
            errors.print(f"initbench: {error}", markup=False, soft_wrap=True)
            sys.exit(2)
        if not config.dry_run:
            live.start(config, preload="initbench.report.write")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        if config.dry_run:
            return
        live.stop()
        study = Path(config.runs_dir) / str(config.study)
        try:
            mark_dead(study)
            runs = summarize(study, config.report)
            without = _without_record(study, self._sweep)
            refused = [name for name in without if left_alone(study / name)]
            unbegun = len([name for name in without if name not in refused and not is_held(study / name)])
        except Unwritable as error:
            errors.print(f"initbench: {error}", soft_wrap=True)
            sys.exit(1)
        except Exception:  # Hydra would turn it into a warning and exit with 0; the records are safe, this reads them
            errors.print_exception()
            sys.exit(1)
        ended = runs[runs["sweep"] == self._sweep]["status"].value_counts()
        if "running" in set(runs["status"]):
            console.print("other processes are still at some runs; the same command shows them when they are done")
        for status in ended.index.intersection(["interrupted", "refused", "failed"]):
            errors.print(f"{ended[status]} runs {status}; their records under {study} say why", soft_wrap=True)
        if unbegun:
            begun = "1 run was" if unbegun == 1 else f"{unbegun} runs were"
            errors.print(f"{begun} not begun: a process died before that; the same command tries again", soft_wrap=True)
        if "failed" in ended or unbegun:
            sys.exit(1)
        if "refused" in ended or refused:
            sys.exit(2)


def _overrides(hydra: DictConfig) -> list[str]:
    """What was typed, and what a config, such as a study's, sweeps over, as it would be."""
    typed: Any = OmegaConf.to_container(hydra.overrides.task)
    sweeper: Any = OmegaConf.to_container(hydra.sweeper)
    return [*typed, *(f"{key}={value}" for key, value in (sweeper.get("params") or {}).items())]


def _refuse_several_studies(overrides: list[str]) -> None:
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            continue
        if key in ("study", "runs_dir"):
            raise ValueError(f"{key} cannot be swept over: the runs of a sweep are compared, so they share a study")
        if key.partition(".")[0] == "report":
            raise ValueError(f"{key} cannot be swept over: a study has one report")


def _refuse_dots(hydra: DictConfig) -> None:
    for group in ("launcher", "sweeper"):
        if isinstance(hydra[group], str):
            raise ValueError(f"hydra.{group}={hydra[group]} sets a key; an option is chosen by hydra/{group}=...")


def _without_record(study: Path, sweep: str) -> list[str]:
    """The runs that a sweep set out to do and left no record of."""
    plan = Study(study).plan()
    if plan is None or plan.sweep != sweep:
        return []  # of a sweeper that makes none
    return [name for name in sorted(plan.runs) if not _is_of(study / name, plan)]


def _is_of(folder: Path, plan: Plan) -> bool:
    record = readable(read_record, folder) or {}
    is_done = record.get("status") in COMPLETE and not plan.force
    return is_done or record.get("sweep") == plan.sweep


def summarize(study: Path, report: Mapping[str, Any] | DictConfig) -> "pd.DataFrame":
    """Print a table for each workload and the verdict, write the page, say where it is; return the runs."""
    # pandas and plotly are needed here for the first time.
    from initbench.analysis.comparison.comparison import Comparison
    from initbench.analysis.loading.frame import load_runs
    from initbench.analysis.verdict.verdict import Verdict
    from initbench.report.formats.terminal import show
    from initbench.report.write import FOLDER, write_page

    runs = load_runs(study)
    verdict = Verdict(Comparison(runs, margin=report["margin"], reference=report["reference"]))
    show(verdict, console)
    command = f"python -m initbench.report {shlex.quote(str(study))}"
    console.print(f"Tables and figures for a paper: {command}", soft_wrap=True)
    console.print(f"Report: {write_page(verdict, study / FOLDER, study.name)}", soft_wrap=True)
    return runs
