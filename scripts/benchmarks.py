"""Run every benchmark once; write docs/benchmarks.md and the costs in the READMEs. `make bench`; 15 minutes on 2 cores.

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
import readme_blocks
from benchmarking import Table, provenance_line, save
from rich.console import Console

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Benchmarks

Written by `make bench` (`scripts/benchmarks.py`); all numbers are in [benchmarks.json](benchmarks.json). On a shared
machine, times drift by tens of percent from hour to hour: compare the numbers within a table.
[costs.md](costs.md) says in words what they mean.

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
            "Seconds from starting the command to its last table. `template`: what typical Lightning templates do. "
            "`bare`: the shortest PyTorch loop, which records nothing. `local` and `auto`: initbench with these "
            "launchers, with records, report and wandb offline.",
            partial(bench_sweep.measure, model, inits, seeds, ways.split(), 1, data_dir),
            bench_sweep.table,
        )

    return [
        sweep("mlp", 8, 8, "template bare local auto"),
        sweep("mlp", 2, 2, "template bare auto"),
        sweep("lenet", 8, 8, "template bare auto"),
        Benchmark(
            "Many models at once",
            "bench_packed.py --rounds 2",
            "Training only. `bare`: one model at a time, with all threads. `in slots`: one model in each process of "
            "`hydra/launcher=local`. `packed in slots`: one pack in each process, as `auto` does where it is faster.",
            partial(bench_packed.measure, ["mlp:64", "lenet:32", "resnet20:4"], 2),
            bench_packed.table,
        ),
        Benchmark(
            "One training step",
            "bench_overhead.py --rounds 3",
            "`bare`: the shortest PyTorch loop. `lightning`: Lightning's loop around our module, without callbacks. "
            "`initbench`: a complete run, with history, progress bar and checkpoints.",
            partial(bench_overhead.measure, ["mlp", "lenet"], "mnist", 3, []),
            bench_overhead.table,
        ),
        Benchmark(
            "How the cost grows",
            "bench_scaling.py",
            "A sweep of 64 small MLPs (first row), and the same sweep with one thing changed (the other rows).",
            partial(bench_scaling.measure, 1),
            bench_scaling.table,
        ),
        Benchmark(
            "Start-up",
            "bench_startup.py --rounds 2",
            "Each command in a fresh process.",
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
    readme_blocks.write_costs(results)


if __name__ == "__main__":
    main()
