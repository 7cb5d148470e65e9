"""The cost of a launcher: one sweep of short runs with `local` and with Hydra's submitit_local and joblib launchers.

    python scripts/bench_launchers.py                     # 64 runs, two at a time, three rounds

Each run trains an MLP on mnist_mini for a few steps on one thread, and each sweep is a process of its own.
submitit_local starts all its processes at once, so it gets its jobs in batches of as many as there are slots.

A callback of Hydra records in each process when a job starts and ends. In a process that has run a job before, the
time from the end of one job to the end of the next is the wall time of a run. It has three parts: work
(`seconds_init`, `seconds_train` and `seconds_evaluation` of the record), the rest of the run (data, model, Trainer,
record), and the time between runs (Hydra and the launcher).
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarking import Table, parser_of, process, ratios, report, take_turns, timing
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

SCRIPTS = Path(__file__).resolve().parent
PARTS = ("work", "rest of the run", "between runs")


class Clock(Callback):
    """Writes a line a job to <runs_dir>/clock/<process>: the run's seed, start and end."""

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        self.started = time.monotonic()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        job = {"seed": config.seed, "started": self.started, "ended": time.monotonic()}
        folder = Path(config.runs_dir) / "clock"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / str(os.getpid())).open("a") as file:
            file.write(json.dumps(job) + "\n")


def launchers(slots: int) -> dict[str, list[str]]:
    """The overrides that choose each launcher; one that is not installed is left out, with a line."""
    chosen = {"local": [f"hydra.launcher.slots={slots}"]}
    if installed("joblib"):
        chosen["joblib"] = [f"hydra.launcher.n_jobs={slots}"]
    if installed("submitit"):
        chosen["submitit_local"] = ["hydra/sweeper=basic", f"hydra.sweeper.max_batch_size={slots}"]
    return chosen


def installed(name: str) -> bool:
    found = importlib.util.find_spec(f"hydra_plugins.hydra_{name}_launcher") is not None
    if not found:
        print(f"without {name}: hydra-{name}-launcher is not installed")
    return found


def sweep(name: str, overrides: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of one sweep, and for each run in a warm process the seconds of its PARTS."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "initbench", "-m", f"hydra/launcher={name}", *overrides),
            *("model=mlp", "data=mnist_mini", f"trainer.max_steps={arguments.steps}", "trainer.threads=1"),
            *("trainer.accelerator=cpu", "logger=none", f"seed=range({arguments.runs})", f"runs_dir={folder}"),
            "+hydra.callbacks.clock._target_=bench_launchers.Clock",
        ]
        paths = [str(SCRIPTS), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        seconds, _ = process(command, env=environment)
        return {"seconds": seconds, "warm": warm_runs(Path(folder), arguments.runs)}


def warm_runs(folder: Path, expected: int) -> list[dict[str, float]]:
    records = {record["seed"]: record for record in map(json_of, folder.rglob("record.json"))}
    statuses = [record["status"] for record in records.values()]
    assert statuses == ["finished"] * expected, statuses
    found = []
    for path in (folder / "clock").iterdir():
        jobs = [json.loads(line) for line in path.read_text().splitlines()]
        for before, job in pairwise(jobs):
            record = records[job["seed"]]
            work = record["seconds_init"] + record["seconds_train"] + record["seconds_evaluation"]
            rest = job["ended"] - job["started"] - work
            found.append(dict(zip(PARTS, (work, rest, job["started"] - before["ended"]), strict=True)))
    return found


def json_of(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def measure(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """What `sweep` measures, by launcher and round."""
    chosen = {name: keys for name, keys in launchers(arguments.slots).items() if name in arguments.launchers}
    ways = {name: partial(sweep, name, overrides, arguments) for name, overrides in chosen.items()}
    return take_turns(ways, arguments.rounds, warm_up=0)


def table(title: str, results: dict[str, list[dict[str, Any]]]) -> Table:
    seconds = {name: [each["seconds"] for each in rounds] for name, rounds in results.items()}
    rows = []
    for name, rounds in results.items():
        time = timing(seconds[name])
        ratio = ratios(seconds[name], seconds["local"]).cell(".2f") if "local" in seconds else "-"
        warm = [run for each in rounds for run in each["warm"]]
        parts = [f"{1e3 * median(run[part] for run in warm):.0f}" if warm else "-" for part in PARTS]
        rows.append([name, f"{time.median:.1f}", time.range(".1f"), ratio, *parts])
    columns = ["launcher", "seconds", "range", "ratio to local", *(f"{part}, ms" for part in PARTS)]
    return Table(title, columns, rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="training steps of each run")
    parser.add_argument("--launchers", nargs="+", default=["local", "joblib", "submitit_local"])
    arguments = parser.parse_args()
    title = f"{arguments.runs} runs of {arguments.steps} steps, {arguments.slots} at a time, 1 thread each"
    report(partial(measure, arguments), partial(table, title), arguments.json)


if __name__ == "__main__":
    main()
