"""Seconds to plan a sweep whose runs are all finished, and to show its status.

    python scripts/bench_records.py [--runs 5000] [--rounds 3] [--json FILE]

One real run is made and its record copied; then the commands are timed as processes, including their start.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarking import Table, parser_of, process, report, take_turns, timing
from rich.progress import track

RUN = ["model=mlp", "trainer.max_epochs=1", "logger=none"]


def initbench(*arguments: str) -> float:
    """Seconds that the command takes."""
    return process([sys.executable, "-m", *arguments])[0]


def copy_records(study: Path, runs: int) -> None:
    """A finished record for each seed, in the folder that the plan of the sweep expects."""
    memory = study / ".sweep" / "signatures.json"
    content = json.loads(memory.read_text())
    typed, run = next(iter(content["runs"].items()))
    folder = run["folder"]
    record = json.loads((study / folder / "record.json").read_text())
    for seed in track(range(1, runs), "records", transient=True):
        name = folder.replace("seed0", f"seed{seed}")
        content["runs"][typed.replace("seed=0", f"seed={seed}")] = {**run, "folder": name, "seed": seed}
        (study / name).mkdir()
        (study / name / "record.json").write_text(json.dumps({**record, "name": name, "seed": seed}, indent=1))
    memory.write_text(json.dumps(content))


def measure(runs: int, rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        where = [f"runs_dir={folder}", "study=many"]
        initbench("initbench", "-m", *RUN, *where, "seed=0")
        copy_records(Path(folder, "many"), runs)
        sweep = ["initbench", "-m", *RUN, *where, f"seed=range({runs})", "dry_run=true"]
        ways = {
            "python -m initbench -m … dry_run=true": partial(initbench, *sweep),
            "python -m initbench.status": partial(initbench, "initbench.status", f"{folder}/many"),
            "python -m initbench --help, for comparison": partial(initbench, "initbench", "--help"),
        }
        return take_turns(ways, rounds, warm_up=1)


def table(title: str, took: dict[str, list[float]]) -> Table:
    found = {way: timing(values) for way, values in took.items()}
    rows = [[way, f"{time.median:.2f}", time.range(".2f")] for way, time in found.items()]
    return Table(title, ["command", "seconds", "range"], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    asked = parser.parse_args()
    report(partial(measure, asked.runs, asked.rounds), partial(table, f"{asked.runs} finished records"), asked.json)


if __name__ == "__main__":
    main()
