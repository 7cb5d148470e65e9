"""How the cost of a sweep grows with its runs, the replicas of a pack, the width of the model and the number of images.

    python scripts/bench_scaling.py [--rounds 3] [--json FILE]

Sweeps of an MLP (three hidden layers, batch norm, five epochs) with `hydra/launcher=packed` on the bundled digits,
without loggers, from starting the process to its last table. The first sweep has 64 runs in packs of up to 64 and
width 64; each of the others changes one thing. `memory` is the largest resident set of any process of the sweep.
"""

import sys
import tempfile
from functools import partial
from statistics import median
from typing import Any

from benchmarking import Table, parser_of, process, ratios, report, take_turns, timing

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
        # A process between, so that what it has waited for is this sweep alone.
        watch = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        seconds, printed = process([sys.executable, "-c", watch, *command(case, folder)])
        return seconds, int(printed) / (1e6 if sys.platform == "darwin" else 1e3)


def measure(rounds: int) -> list[dict[str, Any]]:
    cases = {
        in_words(case): case for case in [USUAL, *({**USUAL, n: v} for n, values in VARIED.items() for v in values)]
    }
    found = take_turns({words: partial(once, case) for words, case in cases.items()}, rounds, warm_up=0)
    return [
        {
            "sweep": words,
            "runs": case["runs"],
            "seconds": [seconds for seconds, _ in found[words]],
            "megabytes": [megabytes for _, megabytes in found[words]],
        }
        for words, case in cases.items()
    ]


def in_words(case: dict[str, int]) -> str:
    """What differs from the usual sweep; of that one, everything."""
    changed = {name: value for name, value in case.items() if value != USUAL[name]}
    return ", ".join(f"{name}={value}" for name, value in (changed or case).items())


def table(results: list[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        time = timing(result["seconds"])
        cells = [f"{time.median:.1f}", time.range(".1f"), f"{1e3 * time.median / result['runs']:.0f}"]
        ratio = ratios(result["seconds"], results[0]["seconds"]).cell(".2f")
        rows.append([result["sweep"], *cells, ratio, f"{median(result['megabytes']):.0f}"])
    columns = ["sweep", "seconds", "range", "ms per run", "relative to the first row", "memory, MB"]
    return Table("Sweeps of an MLP in packs", columns, rows)


def main() -> None:
    asked = parser_of(__doc__).parse_args()
    report(partial(measure, asked.rounds), table, asked.json)


if __name__ == "__main__":
    main()
