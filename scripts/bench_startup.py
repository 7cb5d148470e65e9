"""How long it takes until something happens: help, a config, a run of one step, a sweep, a finished sweep.

    python scripts/bench_startup.py [--rounds 3] [--json FILE]

Each command runs in a new process, on the bundled digits. The commands take turns, and medians are shown. `import
torch` is there for comparison.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarking import Table, parser_of, show
from rich.progress import track

STEP = ["model=mlp", "logger=none", "trainer.accelerator=cpu", "trainer.max_steps=1", "data.val_every_n_steps=1"]
OURS = [sys.executable, "-m", "initbench"]
WAYS: dict[str, list[str]] = {
    "import torch": [sys.executable, "-c", "import torch"],
    "import lightning.pytorch": [sys.executable, "-c", "import lightning.pytorch"],
    "--help": [*OURS, "--help"],
    "--cfg job": [*OURS, "--cfg", "job"],
    "one run of one step": [*OURS, *STEP, "force=true"],
    "a sweep of 8 such runs, with its report": [*OURS, "-m", *STEP, "seed=range(8)", "force=true"],
    "the same sweep, when it is done": [*OURS, "-m", *STEP, "seed=range(8)"],
}


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every way, round by round."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for number in track(range(rounds + 1), "rounds", transient=True):
            for way, command in WAYS.items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                if number:  # the first fills the caches of the disk, and of the launcher
                    took[way].append(time.perf_counter() - started)
    return took


def table(took: dict[str, list[float]]) -> Table:
    rows = [[way, f"{statistics.median(values):.2f}"] for way, values in took.items()]
    return Table("From a cold process to its end", ["command", "seconds"], rows)


def main() -> None:
    asked = parser_of(__doc__, rounds=3).parse_args()
    took: Any = measure(asked.rounds)
    show(table(took), took, asked.json)


if __name__ == "__main__":
    main()
