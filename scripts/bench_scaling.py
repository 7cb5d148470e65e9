"""How the cost of a sweep grows with its runs, the replicas of a pack, the width of the model and the number of images.

    python scripts/bench_scaling.py [--rounds 1] [--json FILE]

Sweeps of an MLP (three hidden layers, batch norm, five epochs) with `hydra/launcher=packed` on the bundled digits,
without loggers, from starting the process to its last table. The first sweep has 64 runs in packs of up to 64 and
width 64; each of the others changes one thing. `memory` is the largest resident set of any process of the sweep.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarking import Table, parser_of, show
from rich.progress import track

USUAL = {"runs": 64, "replicas": 64, "width": 64, "val_size": 600}
VARIED = {
    "runs": [16, 256],
    "replicas": [4, 16],
    "width": [256],
    "val_size": [3300],  # which leaves half of the images to train on
}
INITS = ("orthogonal", "xavier_normal", "kaiming_normal", "lecun_normal")


def command(case: dict[str, int], folder: str) -> list[str]:
    model = ["model=mlp", "model.depth=3", f"model.width={case['width']}", "model.norm=batch"]
    data = [f"data.val_size={case['val_size']}", "data.val_every_n_steps=1000"]
    run = ["trainer.max_epochs=5", "trainer.accelerator=cpu", "logger=none", f"runs_dir={folder}"]
    seeds = case["runs"] // len(INITS)
    sweep = [f"init={','.join(INITS)}", f"seed=range({seeds})", "hydra/launcher=packed"]
    own = [sys.executable, "-m", "initbench", "-m", *model, *data, *run, *sweep]
    return [*own, f"hydra.launcher.replicas={case['replicas']}"]


def once(case: dict[str, int]) -> tuple[float, float]:
    """Seconds, and MB."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        # A process between, so that what it has waited for is this sweep alone.
        watch = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        found = subprocess.run(
            [sys.executable, "-c", watch, *command(case, folder)], check=True, capture_output=True, text=True
        )
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return time.perf_counter() - started, int(found.stdout) / unit


def measure(rounds: int) -> list[dict[str, Any]]:
    cases = [USUAL] + [{**USUAL, name: value} for name, values in VARIED.items() for value in values]
    results: list[dict[str, Any]] = [{"case": case, "seconds": [], "megabytes": []} for case in cases]
    for _ in track(range(rounds), "rounds", transient=True):
        for result in results:
            seconds, megabytes = once(result["case"])
            result["seconds"].append(seconds)
            result["megabytes"].append(megabytes)
    return results


def table(results: list[dict[str, Any]]) -> Table:
    usual = statistics.median(results[0]["seconds"])
    rows = []
    for result in results:
        seconds = statistics.median(result["seconds"])
        changed = [f"{name}={value}" for name, value in result["case"].items() if value != USUAL[name]]
        words = changed[0] if changed else ", ".join(f"{name}={value}" for name, value in USUAL.items())
        each = 1e3 * seconds / result["case"]["runs"]
        megabytes = statistics.median(result["megabytes"])
        rows.append([words, f"{seconds:.1f}", f"{each:.0f}", f"{seconds / usual:.2f}", f"{megabytes:.0f}"])
    columns = ["sweep", "seconds", "ms per run", "relative to the first row", "memory, MB"]
    return Table("Sweeps of an MLP in packs", columns, rows)


def main() -> None:
    asked = parser_of(__doc__, rounds=1).parse_args()
    results = measure(asked.rounds)
    show(table(results), results, asked.json)


if __name__ == "__main__":
    main()
