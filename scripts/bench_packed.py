"""Images per second of replicas that are trained together, compared with the shortest PyTorch loop.

    python scripts/bench_packed.py [--cases mlp:64 lenet:32 resnet20:4] [--rounds 3] [--json FILE]
    python scripts/bench_packed.py --accelerator gpu --cases mlp:1 mlp:8 mlp:64 mlp:512 lenet:8 lenet:32 lenet:512

A case is a model and a number of replicas. It uses all cores or all GPUs, without evaluation and records:

- bare: the shortest loop over one model, with all threads, in torch's usual memory layout; Adam with fused=True, as
  in the others
- serial slots: as many of these loops at a time as `hydra/launcher=local` has slots, in processes like its workers,
  with channels_last for convolutions
- packed slots: the replicas divided among the same processes, each of which trains a pack

Processes take turns, round by round. Numbers are medians of images per second; ratios to bare are taken within a
round. On a GPU, the largest memory of a pack per replica is shown, too.
"""

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from benchmarking import Table, parser_of, show
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.progress import track
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import CONF
from initbench.packed.forward import forward_of
from initbench.packed.pack import Pack
from initbench.schema.config import Config
from initbench.training import compute
from initbench.training.build import RunParts, build_run
from initbench.workers.slots import Slots

SHAPES = {"mlp": ["model.depth=3", "model.width=[64,128,64]", "model.norm=batch"], "lenet": [], "resnet20": []}
BATCH, SEEDS = 128, 4
SECONDS = 4.0  # of each measurement
STEPS_AT_ONCE = 50


def experiment_of(model: str, accelerator: str) -> RunParts:
    """The model on images of its own kind, as `python -m initbench` builds it; what the images show is of no matter."""
    overrides = [f"model={model}", *SHAPES[model], f"data.batch_size={BATCH}", f"trainer.accelerator={accelerator}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=overrides)
    typed = Config.model_validate(OmegaConf.to_container(config, resolve=True))
    parts = build_run(typed)
    parts.recipe.model.to(compute.device(typed.trainer))
    return parts


def one(way: str, model: str, replicas: int, accelerator: str) -> tuple[float, float]:
    """Images a second of this process, and the most bytes of a GPU that each replica took."""
    parts = experiment_of(model, accelerator)
    recipe = parts.recipe
    images, labels = parts.data.fixed_batch(recipe.device)
    if way == "packed":
        models: list[nn.Module] = [perturbed(recipe.model, seed) for seed in range(replicas)]
        forward = forward_of(recipe.model, images[:2])
        pack = Pack(
            models,
            forward,
            [recipe.make_optimizer] * replicas,
            recipe.make_scheduler,
            recipe.task,
            seeds=[0] * replicas,
        )
        seeds = min(SEEDS, replicas)
        many, answers = images.repeat(seeds, 1, 1, 1, 1), labels.repeat(seeds, 1)

        def step() -> None:
            pack.backward(many, answers)
            pack.step()
    else:
        layout = recipe.memory_format if way == "serial" else torch.contiguous_format
        net = recipe.model.to(memory_format=layout)
        optimizer = recipe.make_optimizer()
        replicas = 1

        def step() -> None:
            F.cross_entropy(net(images.to(memory_format=layout)), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

    step()
    step()
    on_gpu = recipe.device.type == "cuda"
    steps, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < SECONDS:
        for _ in range(STEPS_AT_ONCE if on_gpu else 1):  # a GPU is given steps faster than it does them
            step()
            steps += 1
        if on_gpu:
            torch.cuda.synchronize()
    return steps * replicas * BATCH / taken, torch.cuda.max_memory_allocated() / replicas if on_gpu else 0.0


def perturbed(model: nn.Module, seed: int) -> nn.Module:
    """A copy with weights of its own."""
    torch.manual_seed(seed)
    again = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.001)
    return again


def processes(way: str, model: str, replicas: int, accelerator: str) -> tuple[float, float]:
    """What one process with all threads takes, or as many as there are slots, at the same time."""
    slots = [{}] if way == "bare" else Slots(devices=[] if accelerator == "cpu" else None).environments()
    of_each = str(max(1, replicas // len(slots)))
    command = [sys.executable, __file__, "--accelerator", accelerator, "--one", way, model, of_each]
    started = [
        subprocess.Popen(command, env={**os.environ, **slot}, stdout=subprocess.PIPE, text=True) for slot in slots
    ]
    found = [json.loads(process.communicate()[0]) for process in started]
    return sum(rate for rate, _ in found), max(memory for _, memory in found)


def measure(cases: list[str], rounds: int, accelerator: str = "cpu") -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    for case in cases:
        model, replicas = case.split(":")
        found: dict[str, list[float]] = {way: [] for way in ("bare", "serial", "packed")}
        bytes_each = 0.0
        for _ in track(range(rounds), case, transient=True):
            for way, values in found.items():
                rate, bytes_each = processes(way, model, int(replicas), accelerator)
                values.append(rate)
        of_case = {"model": model, "replicas": int(replicas), "bytes_a_replica": bytes_each}
        results.append({**of_case, "images_a_second": found})
    return results


def table(results: list[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        found = result["images_a_second"]
        for way, words in {"bare": "bare loop", "serial": "in slots", "packed": "packed in slots"}.items():
            ratio = statistics.median(ours / bare for ours, bare in zip(found[way], found["bare"], strict=True))
            name = f"{result['model']} x {result['replicas']}, {words}"
            memory = f"{result['bytes_a_replica'] / 1e6:.1f}" if way == "packed" and result["bytes_a_replica"] else "-"
            rows.append([name, f"{statistics.median(found[way]):,.0f}", f"{ratio:.2f}", memory])
    columns = ["case", "images per second", "times as fast as bare", "MB per model"]
    if all(row[-1] == "-" for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table("Training, images per second", columns, rows)


def main() -> None:
    parser = parser_of(__doc__, rounds=3)
    parser.add_argument("--cases", nargs="+", default=["mlp:64", "lenet:32", "resnet20:4"])
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # what a process measures
    asked = parser.parse_args()
    if asked.one:
        way, model, replicas = asked.one
        print(json.dumps(one(way, model, int(replicas), asked.accelerator)))
        return
    results = measure(asked.cases, asked.rounds, asked.accelerator)
    show(table(results), results, asked.json)


if __name__ == "__main__":
    main()
