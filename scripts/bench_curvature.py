"""The cost of measuring the curvature of the initialized network, in training steps on the same batch.

    python scripts/bench_curvature.py
    python scripts/bench_curvature.py --models resnet20 --rounds 5 optimizer=sgd

For each model, ten steps of a bare PyTorch loop and one measurement, as diagnostics.curvature=true makes it, take turns
in one thread. Times are CPU seconds of the process.
"""

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from benchmarking import Table, parser_of, ratios, report, take_turns, timing
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF, curvature
from initbench.schema.config import Config
from initbench.training.build import build_run

STEPS = 10  # to a round


def measure(models: list[str], rounds: int, overrides: list[str]) -> list[dict[str, Any]]:
    """CPU seconds of a step and of a measurement, round by round."""
    torch.set_num_threads(1)
    return [measure_one(model, rounds, overrides) for model in models]


def measure_one(model: str, rounds: int, overrides: list[str]) -> dict[str, Any]:
    task = ["task=language_model"] if model == "gpt" else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", overrides=[f"model={model}", *task, "trainer.accelerator=cpu", *overrides])
    parts = build_run(Config.model_validate(OmegaConf.to_container(composed, resolve=True)))
    recipe = parts.recipe
    recipe.initialize(parts.data)
    inputs, targets = recipe.task.batch(*parts.data.fixed_batch(recipe.device))
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=recipe.memory_format)
    loss = partial(recipe.task.loss, training=True)
    trained = copy.deepcopy(recipe.model)
    optimizer = recipe.make_optimizer(trained)

    def step() -> None:
        optimizer.zero_grad()
        loss(trained(inputs), targets).backward()
        optimizer.step()

    def measurement() -> None:
        curvature(recipe.model, (inputs, targets), loss=loss, optimizer=recipe.make_optimizer(), seed=recipe.seed)

    ways = {"step": partial(seconds, step, STEPS), "curvature": partial(seconds, measurement, 1)}
    return {"model": model, "seconds": take_turns(ways, rounds, warm_up=1, title=model)}


def seconds(work: Callable[[], None], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def table(results: list[dict[str, Any]]) -> Table:
    rows = []
    for result in results:
        step, measured = result["seconds"]["step"], result["seconds"]["curvature"]
        ratio = ratios(measured, step)
        rows.append(
            [
                result["model"],
                timing([1e3 * value for value in step]).cell(".1f"),
                timing(measured).cell(".2f"),
                ratio.cell(".0f"),
                ratio.range(".0f"),
            ]
        )
    return Table("Curvature", ["model", "ms per step", "seconds to measure", "in steps", "range"], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--models", nargs="+", default=["mlp", "lenet", "resnet20", "gpt"])
    parser.add_argument("overrides", nargs="*", help="overrides of the config, as after python -m initbench")
    asked = parser.parse_args()
    report(partial(measure, asked.models, asked.rounds, asked.overrides), table, asked.json)


if __name__ == "__main__":
    main()
