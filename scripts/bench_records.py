"""CPU seconds of the commands that read a whole study, and of its sweep, typed again when all of its runs are finished.

    python scripts/bench_records.py [--runs 5000] [--rounds 3] [--json FILE]

One real run is made and its record copied for each seed; then the commands are timed as processes, including their
start. What is not deleted before a command, such as the index of records, was written by the round that warms up.
"""

import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarking import Table, parser_of, process, report, take_turns, timing
from rich.progress import track

from initbench.record.store import Store

RUN = ["model=mlp", "trainer.max_epochs=1", "logger=none"]


def python(*arguments: str, without: Path | None = None) -> float:
    """CPU seconds of the command; before it, the file `without` is deleted."""
    if without is not None:
        without.unlink(missing_ok=True)
    before = os.times()
    process([sys.executable, *arguments])
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def copy_records(study: Path, runs: int) -> None:
    """A finished record for each seed, in the folder that the plan of the sweep expects."""
    (first,) = study.glob("*/record.json")
    record = json.loads(first.read_text())
    for seed in track(range(1, runs), "records", transient=True):
        config = {**record["config"], "seed": seed}
        store = Store(config)
        own = {"name": store.name, "signature": store.signature, "seed": seed, "config": config}
        store.folder.mkdir()
        (store.folder / "record.json").write_text(json.dumps({**record, **own}, indent=1))


def measure(runs: int, rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder, "many")
        sweep = ["-m", "initbench", "-m", *RUN, f"runs_dir={folder}", "study=many"]
        python(*sweep, "seed=0")
        copy_records(study, runs)
        sweep.append(f"seed=range({runs})")
        loading = ["-c", f"from initbench import load_runs; load_runs({str(study)!r})"]
        index, said = study / ".sweep" / "records.index", study / ".sweep" / "said"
        ways = {
            "load_runs, without the index": partial(python, *loading, without=index),
            "load_runs": partial(python, *loading),
            "import of load_runs, for comparison": partial(python, "-c", "from initbench import load_runs"),
            "python -m initbench.status": partial(python, "-m", "initbench.status", str(study)),
            "the sweep typed again": partial(python, *sweep),
            "the same, without what it said": partial(python, *sweep, without=said),
            "the sweep with dry_run=true": partial(python, *sweep, "dry_run=true"),
            "python -m initbench --help, for comparison": partial(python, "-m", "initbench", "--help"),
        }
        return take_turns(ways, rounds, warm_up=1)


def table(title: str, took: dict[str, list[float]]) -> Table:
    found = {way: timing(values) for way, values in took.items()}
    rows = [[way, f"{time.median:.2f}", time.range(".2f")] for way, time in found.items()]
    return Table(title, ["command", "CPU seconds", "range"], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    asked = parser.parse_args()
    report(partial(measure, asked.runs, asked.rounds), partial(table, f"{asked.runs} finished records"), asked.json)


if __name__ == "__main__":
    main()
