"""`python -m initbench.report runs/STUDY`: from a folder of records, or a table, to a page, tables and figures."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from initbench.command_line import Parser, run, typed_path
from initbench.console import console, errors
from initbench.errors import unknown
from initbench.status.study import Study
from initbench.table_file import KINDS
from initbench.wandb_client import split_path
from initbench.wording import count, visible

if TYPE_CHECKING:
    from initbench.analysis.verdict.verdict import Verdict

WATCH_SECONDS = 5
_OF_TABLES = {"lower_is_better": False, "init": "init", "seed": "seed", "workload": [], "unit": "", "chance": None}


def main(arguments: list[str]) -> None:
    """Parse the command line and write the report. Raises ValueError for what cannot be asked."""
    asked = _parser().parse_args(arguments)
    _check(asked)
    folder = asked.output or _folder(asked.studies)
    if asked.watch:
        watch(asked, folder)
    with console.status("reading"):
        write(asked, folder)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m initbench.report",
        description="Write a report: which initializer is best, by how much, and how sure that is.",
    )
    parser.add_argument(
        "studies",
        type=typed_path,
        nargs="+",
        metavar="runs/STUDY",
        help="one study, or several to compare; or a table of scores from elsewhere: .csv, .tsv, .parquet",
    )
    parser.add_argument(
        "--output",
        type=typed_path,
        metavar="FOLDER",
        help="where to write (default: <study>/report; for several studies runs/report-A-B; for a table <table>-report "
        "next to it)",
    )
    parser.add_argument("--reference", metavar="INIT", help="compare this initializer with each of the others")
    parser.add_argument(
        "--margin",
        type=float,
        metavar="POINTS",
        help="the smallest difference that matters, in percentage points (for a table: in the unit of --score)",
    )
    parser.add_argument(
        "--all-figures",
        action="store_true",
        help="draw figures for papers of all workloads, not only of the first ten of the page",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the verdict as JSON (docs/explanation/comparison.md explains its keys)",
    )
    parser.add_argument("--watch", action="store_true", help="rewrite the page whenever a record changes, until Ctrl-C")
    parser.add_argument(
        "--wandb", metavar="ENTITY/PROJECT", help="create or update a dashboard of the study in this project"
    )
    table = parser.add_argument_group("a table of scores, one row per run")
    table.add_argument("--score", metavar="COLUMN", help="the column of scores")
    table.add_argument("--lower-is-better", action="store_true", help="a lower score is better, as for a loss")
    table.add_argument("--init", metavar="COLUMN", default="init", help="the column of initializers, or other methods")
    table.add_argument("--seed", metavar="COLUMN", default="seed", help="the column of seeds, by which runs are paired")
    table.add_argument(
        "--workload",
        metavar="COLUMN",
        action="append",
        default=[],
        help="a column that distinguishes workloads; may be given several times",
    )
    table.add_argument(
        "--unit", default="", help='"share": show scores of 0 to 1 as percentages; any other unit is a label'
    )
    table.add_argument("--chance", type=float, metavar="SCORE", help="the score of a model that has learned nothing")
    return parser


def _check(asked: argparse.Namespace) -> None:
    """Raise ValueError for options that do not go together."""
    if asked.wandb is not None:
        split_path(asked.wandb)
    for path in asked.studies:
        if path.is_file() and not _is_table(path):
            raise ValueError(f"{path} is neither the folder of a study nor a table ({', '.join(KINDS)})")
    if not any(map(_is_table, asked.studies)):
        of_tables = [name for name, usual in _OF_TABLES.items() if getattr(asked, name) != usual]
        for name in (*["score"] * (asked.score is not None), *of_tables):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is for a table of scores ({', '.join(KINDS)}); a study has its own")
        return
    if len(asked.studies) > 1:
        raise ValueError("only one table can be reported on at a time, and not together with a study")
    if asked.watch:
        raise ValueError("--watch needs a study: a table is read only once")
    if asked.score is None:
        raise ValueError(f"{asked.studies[0]} is a table: --score must name its column of scores")


def write(asked: argparse.Namespace, folder: Path) -> None:
    """Write the report, print the verdict and, with --wandb, publish the dashboard."""
    from initbench.report.formats.terminal import show
    from initbench.report.write import figures_left_out, write_report

    verdict, title = _verdict(asked), _title(asked.studies)
    page = write_report(verdict, folder, title, all_figures=asked.all_figures)
    if asked.json:
        print(json.dumps(verdict.to_dict(), indent=1, allow_nan=False))
    else:
        show(verdict, console, rankings=False)
    said = errors if asked.json else console
    for problem in verdict.problems:
        if problem.is_serious:
            said.print(visible(problem.text), style="yellow", markup=False, soft_wrap=True)
    said.print(visible(f"Report: {page}"), soft_wrap=True, markup=False)
    if not asked.all_figures and (left_out := figures_left_out(verdict)):
        said.print(left_out, soft_wrap=True, markup=False)
    if asked.wandb is not None:
        from initbench.report.dashboard.publish import publish_comparison
        from initbench.report.dashboard.workspace import PUBLISHED

        line = publish_comparison(asked.wandb, title, verdict, folder)
        said.print(visible(line), soft_wrap=True, markup=False)
        if not line.startswith(PUBLISHED):
            sys.exit(1)  # the report is there, but the dashboard is not


def _verdict(asked: argparse.Namespace) -> "Verdict":
    """The verdict on studies or on a table. Raises ValueError if they cannot be read or the options do not fit them."""
    from initbench.analysis.comparison.comparison import Comparison
    from initbench.analysis.loading.frame import judged_by
    from initbench.analysis.loading.studies import load_studies
    from initbench.analysis.verdict.verdict import Verdict
    from initbench.report.verdict import verdict

    if _is_table(asked.studies[0]):
        from initbench.table_file import read_table

        return verdict(
            read_table(asked.studies[0]),
            asked.score,
            not asked.lower_is_better,
            init=asked.init,
            workload=asked.workload,
            seed=asked.seed,
            unit=asked.unit,
            chance=asked.chance,
            margin=asked.margin,
            reference=asked.reference,
        )
    runs = load_studies(asked.studies)
    if asked.reference is not None and asked.reference not in set(runs["init"]):
        raise unknown("reference", asked.reference, set(map(str, runs["init"])))
    plan = Study(asked.studies[0]).plan()  # what its latest sweep asked for
    margin = asked.margin if asked.margin is not None or plan is None else plan.margin
    reference = asked.reference if asked.reference is not None or plan is None else plan.reference
    return Verdict(Comparison(runs, judged_by(runs), margin, reference))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in KINDS and not path.is_dir()


def watch(asked: argparse.Namespace, folder: Path) -> None:
    """Write the page whenever a record changes; it reloads itself."""
    from initbench.report.write import write_page

    seen: object = None
    try:
        while True:
            stamps = [Study(study).stamps() for study in asked.studies]
            if stamps != seen and all(stamps):  # a study may be watched before its first record
                seen = stamps
                page = write_page(_verdict(asked), folder, _title(asked.studies), refresh=WATCH_SECONDS)
                number = sum(map(len, stamps))
                console.print(f"{count(number, 'run')}: {page}", soft_wrap=True, markup=False)
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        pass  # the caller writes the page once more, without the reloading


def _title(studies: list[Path]) -> str:
    from initbench.analysis.loading.studies import study_names

    return studies[0].resolve().stem if _is_table(studies[0]) else " and ".join(study_names(studies))


def _folder(studies: list[Path]) -> Path:
    from initbench.analysis.loading.studies import study_names
    from initbench.report import FOLDER

    first = studies[0]
    if _is_table(first):
        return first.with_name(f"{first.stem}-report")
    if len(studies) == 1:
        return first / FOLDER
    parent = first.parent if first.name else first.resolve().parent
    return parent / "-".join(["report", *(name.replace("/", "-") for name in study_names(studies))])


if __name__ == "__main__":
    run(main)
