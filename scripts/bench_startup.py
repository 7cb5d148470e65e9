"""How long it takes until something happens: help, a config, a run of one step, a sweep, a finished sweep.

    python scripts/bench_startup.py [--rounds 3] [--json FILE]

Each command runs in a new process, on the bundled digits. `import torch` is there for comparison. The round that warms
up fills the caches of the disk, and of the launcher.
"""

import sys
import tempfile
from functools import partial

from benchmarking import Table, parser_of, process, report, take_turns, timing

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
    with tempfile.TemporaryDirectory() as folder:
        ways = {way: partial(process, command, cwd=folder) for way, command in WAYS.items()}
        ended = take_turns(ways, rounds, warm_up=1)
    return {way: [seconds for seconds, _ in each] for way, each in ended.items()}


def table(took: dict[str, list[float]]) -> Table:
    found = {way: timing(values) for way, values in took.items()}
    rows = [[way, f"{time.median:.2f}", time.range(".2f")] for way, time in found.items()]
    return Table("From a cold process to its end", ["command", "seconds", "range"], rows)


def main() -> None:
    asked = parser_of(__doc__).parse_args()
    report(partial(measure, asked.rounds), table, asked.json)


if __name__ == "__main__":
    main()
