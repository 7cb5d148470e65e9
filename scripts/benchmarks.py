"""Run every benchmark; write a dated table of this machine into docs/benchmarks/, and the costs in the READMEs.

python scripts/benchmarks.py [--data-dir data] [--rounds 3]        # `make bench`; needs MNIST in data
"""

import argparse
import json
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
from benchmarking import Table, file_name, in_words, load, load_in_words, machine
from rich.console import Console

HEAD = """# {name}

Written by `make bench`. [How to read it](README.md); all rounds are in [{name}.json]({name}.json).

{machine}
"""


@dataclass
class Benchmark:
    title: str
    command: str  # which repeats it by itself
    words: str
    measure: Callable[[], Any]
    table: Callable[[Any], Table]


def benchmarks(data_dir: Path, rounds: int) -> list[Benchmark]:
    def sweep(model: str, inits: int, seeds: int, ways: str) -> Benchmark:
        runs = inits * seeds
        return Benchmark(
            f"{runs} runs of {model}",
            f"bench_sweep.py --model {model} --inits {inits} --seeds {seeds} --ways {ways}",
            "Seconds from starting the command to its last table. `template`: what typical Lightning templates do. "
            "`bare`: the shortest PyTorch loop, which records nothing. `local` and `auto`: initbench with these "
            "launchers, with records, report and wandb offline.",
            partial(bench_sweep.measure, model, inits, seeds, ways.split(), rounds, data_dir),
            bench_sweep.table,
        )

    return [
        sweep("mlp", 8, 8, "template bare local auto"),
        sweep("mlp", 2, 2, "template bare auto"),
        sweep("lenet", 8, 8, "template bare auto"),
        Benchmark(
            "The quickstart study",
            "bench_sweep.py --experiment quickstart",
            "`python -m initbench experiment=quickstart` with its 50 runs and wandb offline, from starting the command "
            "to its verdict and report.",
            partial(bench_sweep.measure_experiment, "quickstart", rounds),
            bench_sweep.table,
        ),
        Benchmark(
            "Many models at once",
            "bench_packed.py",
            "Training only. `bare`: one model at a time, with all threads. `in slots`: one model in each process of "
            "`hydra/launcher=local`. `packed in slots`: one pack in each process, as `auto` does where it is faster.",
            partial(bench_packed.measure, ["mlp:64", "lenet:32", "resnet20:4"], rounds),
            bench_packed.table,
        ),
        Benchmark(
            "One training step",
            "bench_overhead.py",
            "`bare`: the shortest PyTorch loop. `lightning`: Lightning's loop around our module, without callbacks. "
            "`initbench`: a complete single run, with history, progress bar and checkpoints.",
            partial(bench_overhead.measure, ["mlp", "lenet"], "mnist", rounds, []),
            bench_overhead.table,
        ),
        Benchmark(
            "How the cost grows",
            "bench_scaling.py",
            "A sweep of 64 small MLPs (first row), and the same sweep with one thing changed (the other rows).",
            partial(bench_scaling.measure, rounds),
            bench_scaling.table,
        ),
        Benchmark(
            "Start-up",
            "bench_startup.py",
            "Each command in a new process.",
            partial(bench_startup.measure, rounds),
            bench_startup.table,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("INITBENCH_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    os.environ["INITBENCH_DATA"] = str(asked.data_dir.resolve())
    here = machine()
    name = file_name(here)
    parts = [HEAD.format(name=name, machine=in_words(here))]
    results: dict[str, Any] = {}
    loads: dict[str, list[float]] = {}
    for benchmark in benchmarks(asked.data_dir, asked.rounds):
        Console().rule(benchmark.title)
        before = load()
        results[benchmark.title] = benchmark.measure()
        loads[benchmark.title] = [before, load()]
        table = benchmark.table(results[benchmark.title])
        table.print()
        command = f"```\npython scripts/{benchmark.command} --rounds {asked.rounds}\n```"
        words = f"{benchmark.words} {load_in_words(*loads[benchmark.title])}"
        parts.append(f"## {benchmark.title}\n\n{words}\n\n{command}\n\n{table.markdown()}\n")
        # After each one: a benchmark that fails costs none of those before it.
        (readme_blocks.BENCHMARKS / f"{name}.md").write_text("\n".join(parts))
        content = {"machine": here, "load": loads, "results": results}
        (readme_blocks.BENCHMARKS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    readme_blocks.write_index()
    readme_blocks.write_costs()


if __name__ == "__main__":
    main()
