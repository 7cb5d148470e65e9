"""What a sweep says at its end: the ranking, where the page is, and an exit code that tells the truth."""

import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from initbench.command_line import end_with_traceback
from initbench.console import console, errors
from initbench.errors import Unwritable
from initbench.record.damage import readable
from initbench.record.index import of_study, rows_below
from initbench.record.life import mark_dead
from initbench.record.lock import is_held
from initbench.record.plain import Row
from initbench.record.store import COMPLETE, left_alone
from initbench.record.sweep_id import sweep_id
from initbench.report import FOLDER
from initbench.status import live
from initbench.status.study import Plan, Study
from initbench.sweep import said
from initbench.wording import count, visible


def end(config: DictConfig, sweep: str) -> None:
    """End the view, mark what died, print and write the report; exit with 1 or 2 if runs failed or were refused."""
    live.stop()
    study = Path(config.runs_dir) / str(config.study)
    try:
        mark_dead(study)
        rows = summarize(study, config.report)
        without = _without_record(study, sweep)
        refused = [name for name in without if left_alone(study / name)]
        unbegun = len([name for name in without if name not in refused and not is_held(study / name)])
    except Unwritable as error:
        errors.print(visible(f"initbench: {error}"), soft_wrap=True, markup=False)
        sys.exit(1)
    except Exception:  # Hydra would turn it into a warning and exit with 0
        errors.print("initbench: the runs are recorded, but summarizing them failed:", soft_wrap=True)
        end_with_traceback()
    ended = Counter(row["status"] for row in rows if row["sweep"] == sweep)
    if any(row["status"] == "running" for row in rows):
        console.print("other processes are training some of the runs; type the same command again when they are done")
    for status in ("interrupted", "refused", "failed"):
        if not (number := ended[status]):
            continue
        where = f"its record under {study} says" if number == 1 else f"their records under {study} say"
        errors.print(f"{count(number, 'run')} {status}; {where} why", soft_wrap=True, markup=False)
    if unbegun:
        begun = count(unbegun, "run was", "runs were")
        errors.print(f"{begun} never started because a process died; the same command tries again", soft_wrap=True)
    if ended["failed"] or unbegun:
        sys.exit(1)
    if ended["refused"] or refused:
        sys.exit(2)


def end_stopped(study: Path) -> None:
    """End a sweep that was stopped: of its runs, those that had to be killed have no word of it in their records."""
    with suppress(Exception):  # the records say running, which the next sweep finds out
        mark_dead(study, stopped=sweep_id())
    live.stop()


def _without_record(study: Path, sweep: str) -> list[str]:
    """The runs that a sweep set out to do and left no record of."""
    plan = Study(study).plan()
    if plan is None or plan.sweep != sweep:
        return []  # of a sweeper that makes none
    return [name for name in sorted(plan.runs) if not _is_of(study, name, plan)]


def _is_of(study: Path, name: str, plan: Plan) -> bool:
    record = readable(of_study(study).read, name) or {}
    is_done = record.get("status") in COMPLETE and not plan.force
    return is_done or record.get("sweep") == plan.sweep


def summarize(study: Path, report: Mapping[str, Any] | DictConfig) -> list[Row]:
    """Print a table for each workload and the verdict, write the page, say where it is; return the rows of all runs."""
    rows, damaged = rows_below(study)
    if not rows:
        return rows
    question, page = None, study / FOLDER / "index.html"
    with suppress(OSError):  # a file of a run was removed just now: the words are found again, and not kept
        question = said.question(study, rows, damaged, report, console)
    if question and (words := said.recall(study, question, page)) is not None:
        console.out(words, end="", highlight=False)
    else:
        words = _conclude(study, report)
        if question:
            said.keep(study, question, words, page)
    command = f"python -m initbench.report {shlex.quote(str(study))}"
    console.print(visible(f"Tables and figures for a paper: {command}"), soft_wrap=True, markup=False)
    console.print(visible(f"Report: {page}"), soft_wrap=True, markup=False)
    return rows


def _conclude(study: Path, report: Mapping[str, Any] | DictConfig) -> str:
    """Print the tables and the verdict, and write the page; return what was printed."""
    # pandas, scipy and plotly are needed here for the first time.
    from initbench.analysis.comparison.comparison import Comparison
    from initbench.analysis.loading.frame import judged_by, load_runs
    from initbench.analysis.verdict.verdict import Verdict
    from initbench.report.formats.terminal import show
    from initbench.report.write import write_page

    runs = load_runs(study)
    verdict = Verdict(Comparison(runs, judged_by(runs), report["margin"], report["reference"]))
    show(verdict, console)
    with console.capture() as again:  # from what is computed by now
        show(verdict, console)
    write_page(verdict, study / FOLDER, study.name)
    return again.get()
