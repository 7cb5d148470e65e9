"""Seconds to write the report of a large study, and the size of the report.

    python scripts/bench_report.py [--runs 2000] [--seeds 10] [--rounds 3] [--json FILE]

The records are made up: 20 initializers on workloads with so many seeds each, histories of 200 evaluations, and
diagnostics of 50 layers. In each round the parts of the report are timed in a new process.
"""

import argparse
import copy
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking import Table, parser_of, process, report, take_turns, timing
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.progress import track

from initbench import CONF
from initbench.record.store import Store

INITS = 20
EVALUATIONS = 200
LAYERS = 50
TARGETS = ("0.5", "0.8", "0.9")


def configs(folder: Path, runs: int, seeds: int) -> Iterator[dict[str, Any]]:
    """Workloads differ in their width; one config for each run."""
    names = sorted(path.stem for path in (CONF / "init").glob("*.yaml"))[:INITS]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = ["model=mlp", "logger=none", "study=large", f"runs_dir={folder}"]
        composed = [compose("config", overrides=[*overrides, f"init={name}"]) for name in names]
    plain: list[Any] = [OmegaConf.to_container(config, resolve=True) for config in composed]
    for workload in range(-(-runs // (INITS * seeds))):
        for config in plain:
            for seed in range(seeds):
                one = copy.deepcopy(config)
                one["model"]["width"] = 16 * (workload + 1)
                yield one | {"seed": seed, "command": f"python -m initbench init={config['init']['name']} seed={seed}"}


def write_run(config: dict[str, Any], quality: float, rng: np.random.Generator) -> None:
    """A run whose accuracy rises to `quality`, more or less."""
    steps = np.arange(EVALUATIONS) * 100
    accuracy = np.clip(quality * (1 - 0.9 * np.exp(-steps / 4000)) + rng.normal(0, 0.01, EVALUATIONS), 0, 1)
    store = Store(config)
    columns = {"step": steps, "seconds": steps * 0.01, "val/accuracy": accuracy, "val/loss": 2.3 * (1 - accuracy)}
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    store.write_table("history", [dict(zip(columns, row, strict=True)) for row in rows])
    layers = [
        (layer, quantity) for quantity in ("pre_second_moment", "gradient_second_moment") for layer in range(LAYERS)
    ]
    store.write_table(
        "layers",
        [
            {"step": 0, "layer": f"layers.{layer}", "quantity": quantity, "index": 0, "value": (0.5 + quality) ** layer}
            for layer, quantity in layers
        ],
    )
    hit = {target: np.flatnonzero(accuracy >= float(target)) for target in TARGETS}
    store.write(
        "finished",
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        results={"val/accuracy": accuracy[-1], "test/accuracy": accuracy[-1] - 0.01, "ln_classes": 2.302585},
        targets={
            target: {
                "reached": bool(len(at)),
                "steps": int(steps[at[0]] if len(at) else steps[-1]),
                "seconds": float(steps[at[0]] if len(at) else steps[-1]) * 0.01,
            }
            for target, at in hit.items()
        },
        total_steps=int(steps[-1]),
        seconds_init=0.01,
        seconds_train=float(steps[-1]) * 0.01,
        provenance={"command": "python -m initbench experiment=large"},
    )


def write_parts(study: Path) -> dict[str, float]:
    """Write all of the report; seconds for each part."""
    seconds = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[part] = time.perf_counter() - started

    with timed("imports"):
        from initbench.analysis.comparison.comparison import Comparison
        from initbench.analysis.loading.frame import judged_by
        from initbench.analysis.loading.studies import load_studies
        from initbench.analysis.verdict.verdict import Verdict
        from initbench.report import write
        from initbench.report.content.report_plots import report_plots
    with timed("records"):
        verdict = Verdict(Comparison(runs := load_studies([study]), judged_by(runs)))
    with timed("statistics"):
        verdict.to_dict()
    with timed("plots, with the histories"):
        drawn = report_plots(verdict.comparison)
    with timed("index.html"):
        write.draw_page(verdict, drawn, study / write.FOLDER, study.name)
    with timed("report.md, JSON, CSV, figures"):
        write.write_rest(verdict, drawn, study / write.FOLDER, study.name)
    return seconds


def once(study: Path) -> dict[str, float]:
    """The same in a process that has imported nothing."""
    printed = process([sys.executable, __file__, "--one", str(study)])[1]
    seconds: dict[str, float] = json.loads(printed.splitlines()[-1])
    return seconds


def measure(folder: Path, runs: int, seeds: int, rounds: int) -> dict[str, Any]:
    study = folder / "large"
    if not study.exists():
        rng = np.random.default_rng(0)
        for config in track(list(configs(folder, runs, seeds)), "records", transient=True):
            write_run(config, 0.7 + 0.25 * zlib.crc32(config["init"]["name"].encode()) / 2**32, rng)
    parts = take_turns({"parts": partial(once, study)}, rounds, warm_up=1)["parts"]
    return {"runs": runs, "parts": parts, "megabytes": (study / "report" / "index.html").stat().st_size / 1e6}


def table(result: dict[str, Any]) -> Table:
    seconds = {part: [of[part] for of in result["parts"]] for part in result["parts"][0]}
    seconds["all"] = [sum(of.values()) for of in result["parts"]]
    found = {part: timing(values) for part, values in seconds.items()}
    rows = [[part, f"{time.median:.1f}", time.range(".1f")] for part, time in found.items()]
    title = f"{result['runs']} runs; index.html has {result['megabytes']:.1f} MB"
    return Table(title, ["part", "seconds", "range"], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=10, help="of each initializer on each workload")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="make the study there, or use the one that is there"
    )
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # the study that a process reports on
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(write_parts(asked.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(partial(measure, asked.keep or Path(folder), asked.runs, asked.seeds, asked.rounds), table, asked.json)


if __name__ == "__main__":
    main()
