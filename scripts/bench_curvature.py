"""The cost of diagnostics.curvature at the initialized network, in training steps on the same batch.

    python scripts/bench_curvature.py
    python scripts/bench_curvature.py --models resnet20 --rounds 5 optimizer=sgd

CPU seconds of one thread; steps and measurements take turns.
"""

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF, curvature
from initbench.schema.config import Config
from initbench.training.build import build_run

MODELS = ("mlp", "lenet", "resnet20", "gpt")
STEPS = 10  # to a round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for model in asked.models:
        measure(model, asked.rounds, asked.overrides)


def measure(model: str, rounds: int, overrides: list[str]) -> None:
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

    measurement = partial(
        curvature, recipe.model, (inputs, targets), loss=loss, optimizer=recipe.make_optimizer(), seed=recipe.seed
    )
    products = measurement().products
    ratios = [seconds(measurement, 1) / seconds(step, STEPS) for _ in range(rounds)]
    print(f"{model}: {median(ratios):.0f} steps, {min(ratios):.0f} to {max(ratios):.0f}; {products} products")


def seconds(work: Callable[[], object], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


if __name__ == "__main__":
    main()
