"""`python -m initbench.status runs/STUDY`: the progress of a study, from its records alone."""

import json
import time
from pathlib import Path

from initbench.command_line import Parser, run, typed_path
from initbench.console import console
from initbench.errors import nearest
from initbench.record.store import finite
from initbench.status.study import Study
from initbench.status.summary import as_dict, summarize
from initbench.status.view import overview


def main(arguments: list[str]) -> None:
    """Parse the command line and print the summary. Raises ValueError for a folder that is not a study."""
    parser = Parser(
        prog="python -m initbench.status",
        description="Show the progress of a study: results, what is running, why runs failed, and the time left.",
    )
    parser.add_argument("study", type=typed_path, metavar="runs/STUDY", help="the folder of the study")
    parser.add_argument("--watch", action="store_true", help="keep the view up to date until all runs have ended")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the summary as JSON (docs/explanation/comparison.md explains its keys)",
    )
    asked = parser.parse_args(arguments)
    if asked.json and asked.watch:
        raise ValueError("--json and --watch cannot be combined")
    study = Study(asked.study)
    if study.plan() is None and not study.stamps():
        raise ValueError(_no_study(asked.study))
    if asked.watch:
        watch(asked.study)
    now = time.time()
    summary = summarize(study.read(), now)
    if asked.json:
        print(json.dumps(finite(as_dict(summary)), indent=1, allow_nan=False))
    else:
        console.print(overview(summary, now, console.width))


def watch(folder: Path) -> None:
    """Show the live view until all planned runs have ended, or Ctrl-C."""
    from initbench.status.live import Live

    live = Live(folder, ours=False)
    live.start()
    try:
        while not live.all_over.wait(1):
            pass
    except KeyboardInterrupt:
        pass  # the summary is printed once more
    finally:
        live.stop()


def _no_study(folder: Path) -> str:
    here = studies(folder) if folder.is_dir() else []
    if here:
        return f"{folder} holds studies, not runs; name one of them: {', '.join(here)}"
    there = sorted({*studies(folder.parent), *studies(Path("runs"))})
    found = f" There are: {', '.join(there)}" if there else ""
    return f"there is no study {str(folder)!r}.{nearest(str(folder), there)}{found}"


def studies(runs_dir: Path) -> list[str]:
    """The folders under `runs_dir` that hold runs, or are about to."""
    found = {
        path.parent.parent for pattern in ("*/*/record.json", "*/.sweep/plan.json") for path in runs_dir.glob(pattern)
    }
    return sorted(map(str, found))


if __name__ == "__main__":
    run(main)
