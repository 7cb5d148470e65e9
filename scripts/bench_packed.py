"""Images per second of replicas that are trained together, compared with the shortest PyTorch loop.

    python scripts/bench_packed.py [--cases mlp:64 lenet:32 resnet20:4] [--rounds 3] [--json FILE]
    python scripts/bench_packed.py --accelerator gpu --cases mlp:1 mlp:8 mlp:64 mlp:512 lenet:8 lenet:32 lenet:512

A case is a model and a number of replicas. It uses all cores or all GPUs, without evaluation and records:

- bare: the shortest loop over one model, with all threads, in torch's usual memory layout; Adam with fused=True, as
  in the others
- serial slots: as many of these loops at a time as `hydra/launcher=local` has slots, in processes like its workers,
  with channels_last for convolutions
- packed slots: the replicas divided among the same processes, each of which trains a pack

Numbers are images per second. On a GPU, the largest memory of a pack per replica is shown, too.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from benchmarking import Table, parser_of, ratios, report, take_turns, timing
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import CONF
from initbench.packed.forward import Forward, forward_of
from initbench.packed.pack import Pack
from initbench.schema.config import Config
from initbench.training import compute
from initbench.training.build import RunParts, build_run
from initbench.workers.slots import Slots

SHAPES = {"mlp": ["model.depth=3", "model.width=[64,128,64]", "model.norm=batch"], "lenet": [], "resnet20": []}
WAYS = {"bare": "bare loop", "serial": "in slots", "packed": "packed in slots"}
BATCH, SEEDS = 128, 4
SECONDS = 4.0  # of each measurement
STEPS_AT_ONCE = 50


def experiment_of(model: str, accelerator: str, *own: str) -> RunParts:
    """The model on data of its own kind, as `python -m initbench` builds it; what they show is of no matter."""
    shape = [f"model={model}", f"trainer.accelerator={accelerator}", *SHAPES.get(model, [])]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[*shape, f"data.batch_size={BATCH}", *own])
    typed = Config.model_validate(OmegaConf.to_container(config, resolve=True))
    parts = build_run(typed)
    parts.recipe.model.to(compute.device(typed.trainer))
    return parts


def plain_step(parts: RunParts, memory_format: torch.memory_format) -> Callable[[], None]:
    """A step of the shortest loop over one model."""
    recipe = parts.recipe
    inputs, targets = batch_of(parts)
    net, optimizer = recipe.model.to(memory_format=memory_format), recipe.make_optimizer()

    def step() -> None:
        laid_out = inputs.to(memory_format=memory_format) if inputs.dim() == 4 else inputs
        F.cross_entropy(net(laid_out).flatten(0, -2), targets.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def packed_step(parts: RunParts, forward: Forward, replicas: int) -> Callable[[], None]:
    """A step of a pack; up to SEEDS of its replicas have a batch of their own."""
    recipe, seeds = parts.recipe, min(SEEDS, replicas)
    models: list[nn.Module] = [perturbed(recipe.model, seed) for seed in range(replicas)]
    optimizers = [recipe.make_optimizer] * replicas
    pack = Pack(models, forward, optimizers, recipe.make_scheduler, recipe.task, seeds=[0] * replicas)
    inputs, targets = (part.expand(seeds, *part.shape).contiguous() for part in batch_of(parts))

    def step() -> None:
        pack.backward(inputs, targets)
        pack.step()

    return step


def batch_of(parts: RunParts) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = parts.recipe.task.batch(*parts.data.fixed_batch(parts.recipe.device))
    return inputs, targets


def rate(step: Callable[[], None], seconds: float, device: torch.device) -> float:
    """Steps per second."""
    step()
    step()
    on_gpu = device.type == "cuda"
    steps, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        for _ in range(STEPS_AT_ONCE if on_gpu else 1):  # a GPU is given steps faster than it does them
            step()
            steps += 1
        if on_gpu:
            torch.cuda.synchronize()
    return steps / taken


def one(way: str, model: str, replicas: int, accelerator: str) -> tuple[float, float]:
    """Images a second of this process, and the most bytes of a GPU that each replica took."""
    parts = experiment_of(model, accelerator)
    device = parts.recipe.device
    if way == "packed":
        step = packed_step(parts, forward_of(parts.recipe.model, batch_of(parts)[0][:2]), replicas)
    else:
        replicas = 1
        step = plain_step(parts, parts.recipe.memory_format if way == "serial" else torch.contiguous_format)
    steps = rate(step, SECONDS, device)
    bytes_each = torch.cuda.max_memory_allocated() / replicas if device.type == "cuda" else 0.0
    return steps * replicas * BATCH, bytes_each


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
        ways = {way: partial(processes, way, model, int(replicas), accelerator) for way in WAYS}
        found = take_turns(ways, rounds, warm_up=0, title=case)  # each process warms up by itself
        rates = {way: [rate for rate, _ in each] for way, each in found.items()}
        of_case = {"model": model, "replicas": int(replicas), "bytes_a_replica": found["packed"][-1][1]}
        results.append({**of_case, "images_a_second": rates})
    return results


def table(results: list[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        found = result["images_a_second"]
        for way, words in WAYS.items():
            speed = timing(found[way])
            name = f"{result['model']} x {result['replicas']}, {words}"
            memory = f"{result['bytes_a_replica'] / 1e6:.1f}" if way == "packed" and result["bytes_a_replica"] else "-"
            ratio = ratios(found[way], found["bare"])
            rows.append([name, f"{speed.median:,.0f}", speed.range(",.0f"), ratio.cell(".2f"), memory])
    columns = ["case", "images per second", "range", "times as fast as bare", "MB per model"]
    if all(row[-1] == "-" for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table("Training, images per second", columns, rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--cases", nargs="+", default=["mlp:64", "lenet:32", "resnet20:4"])
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # what a process measures
    asked = parser.parse_args()
    if asked.one:
        way, model, replicas = asked.one
        print(json.dumps(one(way, model, int(replicas), asked.accelerator)))
        return
    report(partial(measure, asked.cases, asked.rounds, asked.accelerator), table, asked.json)


if __name__ == "__main__":
    main()
