"""`python -m initbench.report runs/STUDY`: from a folder of records to pages, tables and figures."""

import argparse
import sys
import time
from pathlib import Path

from initbench.console import console
from initbench.status.study import Study
from initbench.wandb_client import split_path

WATCH_SECONDS = 5


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m initbench.report",
        description="Which initializer, by how much, how sure: a page, tables, and figures for a paper.",
    )
    parser.add_argument("studies", type=Path, nargs="+", metavar="runs/STUDY", help="one study, or several to compare")
    parser.add_argument(
        "--output", type=Path, help="the report's folder; <study>/report, or for several runs/report-A-B"
    )
    parser.add_argument("--watch", action="store_true", help="write the page again as records arrive, until Ctrl-C")
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help="make or update a dashboard of the study there")
    asked = parser.parse_args(arguments)
    if asked.wandb is not None:
        split_path(asked.wandb)
    folder = asked.output or _folder(asked.studies)
    if asked.watch:
        watch(asked.studies, folder)
    with console.status("reading records"):
        write(asked.studies, folder, asked.wandb)


def write(studies: list[Path], folder: Path, wandb: str | None) -> None:
    from initbench.analysis.comparison import Comparison
    from initbench.analysis.verdict import verdict
    from initbench.report.report import load, write_report

    comparison = Comparison(load(studies))
    title = " and ".join(study.resolve().name for study in studies)
    page = write_report(comparison, folder, title)
    for sentence in verdict(comparison):
        console.print(sentence, soft_wrap=True, markup=False)
    for problem in comparison.problems:
        if problem.is_serious:
            console.print(problem.text, style="yellow", markup=False, soft_wrap=True)
    console.print(f"Report: {page}", soft_wrap=True)
    if wandb is not None:
        from initbench.report.dashboard import publish_comparison
        from initbench.report.workspace import PUBLISHED

        line = publish_comparison(wandb, title, comparison, folder)
        console.print(line, soft_wrap=True)
        if not line.startswith(PUBLISHED):
            sys.exit(1)  # the report is there, and what was asked for beside it is not


def watch(studies: list[Path], folder: Path) -> None:
    """Write the page whenever a record has changed; it reloads itself."""
    from initbench.analysis.comparison import Comparison
    from initbench.report.report import load, write_page

    title = " and ".join(study.resolve().name for study in studies)
    seen: object = None
    try:
        while True:
            stamps = [Study(study).stamps() for study in studies]
            if stamps != seen and all(stamps):  # a study may be watched before its first record
                seen = stamps
                page = write_page(Comparison(load(studies)), folder, title, refresh=WATCH_SECONDS)
                number = sum(map(len, stamps))
                console.print(f"{number} run{'s' if number != 1 else ''}: {page}", soft_wrap=True)
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        pass  # the last page is written once more, one that does not reload


def _folder(studies: list[Path]) -> Path:
    from initbench.report.report import FOLDER

    if len(studies) == 1:
        return studies[0] / FOLDER
    return studies[0].resolve().parent / "-".join(["report", *(study.resolve().name for study in studies)])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        print(f"initbench: {error}", file=sys.stderr)
        sys.exit(2)
