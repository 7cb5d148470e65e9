"""Every benchmark once, and docs/benchmarks.md of it. `make bench`; about a quarter of an hour on two cores.

python scripts/benchmarks.py [--data-dir data]        # needs MNIST there
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bench_overhead
import bench_packed
import bench_scaling
import bench_startup
import bench_sweep
from benchmarking import Table, provenance_line, save
from rich.console import Console

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# What it costs

Written by `make bench` (`scripts/benchmarks.py`); all numbers are in [benchmarks.json](benchmarks.json). Times of a
shared machine drift by tens of percent from hour to hour: the ratios within a table are what to look at.

{machine}
"""


@dataclass
class Benchmark:
    title: str
    command: str  # which repeats it by itself
    words: str
    measure: Callable[[], Any]
    table: Callable[[Any], Table]


def benchmarks(data_dir: Path) -> list[Benchmark]:
    def sweep(model: str, inits: int, seeds: int, ways: str) -> Benchmark:
        runs = inits * seeds
        return Benchmark(
            f"{runs} runs of {model}",
            f"bench_sweep.py --model {model} --inits {inits} --seeds {seeds} --ways {ways}",
            "From a cold process to the last table. `template`: what the common Lightning templates do; `bare`: the "
            "shortest loop of PyTorch, which records nothing; ours with records, report and wandb offline.",
            partial(bench_sweep.measure, model, inits, seeds, ways.split(), 1, data_dir),
            bench_sweep.table,
        )

    return [
        sweep("mlp", 8, 8, "template bare local auto"),
        sweep("mlp", 2, 2, "template bare auto"),
        sweep("lenet", 8, 8, "template bare auto"),
        Benchmark(
            "Replicas at once",
            "bench_packed.py --rounds 2",
            "Training alone. `bare`: one model at a time, with all threads. `in slots`: a model in each process of "
            "`hydra/launcher=local`. `packed in slots`: a pack in each, as `auto` does where it is faster.",
            partial(bench_packed.measure, ["mlp:64", "lenet:32", "resnet20:4"], 2),
            bench_packed.table,
        ),
        Benchmark(
            "A step of a single run",
            "bench_overhead.py --rounds 3",
            "`lightning`: its loop around our module, without a callback. `initbench`: as a run is, with history, "
            "progress bar and checkpoints.",
            partial(bench_overhead.measure, ["mlp", "lenet"], "mnist", 3, []),
            bench_overhead.table,
        ),
        Benchmark(
            "Growth",
            "bench_scaling.py",
            "One thing is changed at a time.",
            partial(bench_scaling.measure, 1),
            bench_scaling.table,
        ),
        Benchmark(
            "Start",
            "bench_startup.py --rounds 2",
            "Cold processes.",
            partial(bench_startup.measure, 2),
            bench_startup.table,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    os.environ["INITBENCH_DATA"] = str((data_dir := parser.parse_args().data_dir).resolve())
    parts, results = [HEAD.format(machine=provenance_line())], {}
    for benchmark in benchmarks(data_dir):
        Console().rule(benchmark.title)
        results[benchmark.title] = benchmark.measure()
        table = benchmark.table(results[benchmark.title])
        table.print()
        command = f"```\npython scripts/{benchmark.command}\n```"
        parts.append(f"## {benchmark.title}\n\n{benchmark.words}\n\n{command}\n\n{table.markdown()}\n")
        (DOCS / "benchmarks.md").write_text("\n".join(parts))
        save(DOCS / "benchmarks.json", results)


if __name__ == "__main__":
    main()
