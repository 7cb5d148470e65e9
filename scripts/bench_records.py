"""Seconds to plan a sweep whose runs are all finished, and to show its status.

    python scripts/bench_records.py [--runs 5000]

One real run is made and its record copied; then both commands are timed as processes, including their start.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table

RUN = ["model=mlp", "trainer.max_epochs=1", "logger=none"]


def initbench(*arguments: str) -> float:
    """Seconds that the command takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp())
    try:
        where = [f"runs_dir={folder}", "study=many"]
        initbench("initbench", "-m", *RUN, *where, "seed=0")
        copy_records(folder / "many", runs)
        sweep = ["initbench", "-m", *RUN, *where, f"seed=range({runs})", "dry_run=true"]
        table = Table(box=SIMPLE_HEAD, title=f"{runs} finished records", title_justify="left")
        table.add_column("command")
        table.add_column("seconds", justify="right")
        table.add_row("python -m initbench -m … dry_run=true", f"{initbench(*sweep):.2f}")
        table.add_row("python -m initbench.status", f"{initbench('initbench.status', str(folder / 'many')):.2f}")
        table.add_row("python -m initbench --help, for comparison", f"{initbench('initbench', '--help'):.2f}")
        Console().print(table)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
