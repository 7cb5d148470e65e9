"""Everything that one run is made of, built from its config."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from initbench import data, logger, model, optimizer, task
from initbench.data import Data
from initbench.diagnostics.schedule import Schedule
from initbench.generators import seed_all
from initbench.init import Initializer
from initbench.logger import Opening
from initbench.metric import Metric
from initbench.schema import target
from initbench.schema.config import AnyConfig, Config
from initbench.training import compute
from initbench.training.recipe import Recipe


@dataclass
class RunParts:
    data: Data
    recipe: Recipe
    targets: Sequence[float]  # values of the metric to which the time is measured
    total_steps: int
    schedule: Schedule  # of the diagnostics
    open_loggers: Opening

    @property
    def metric(self) -> Metric:
        return self.recipe.task.metric


def build_run(config: AnyConfig) -> RunParts:
    """Build everything that a run is made of. Raises ValueError for whatever the user got wrong."""
    assert isinstance(config, Config)  # a module of the user's own is built by `initbench.training.own_module`
    seeds = config.drawn_from
    seed = seeds.weights
    dataset = data.build(config.data.node, seed=seeds.order, augmentation=seeds.augmentation, split=seeds.split)
    goal = task.build(config.task.node, dataset.sizes)
    # What a constructor draws and no initializer redraws (a class token) depends on the seed of the weights alone.
    seed_all(seed)
    network = model.build(config.model.node, dataset.sizes, goal.given, goal.outputs)
    initializer = Initializer.from_config(config.init.node)
    example = model.example(dataset.sizes)
    initializer.plan(network, example)
    total_steps = compute.total_steps(config.trainer, dataset.steps_per_epoch)
    scheduler = partial(target.call, "scheduler", config.scheduler.node, total_steps=total_steps)
    made = scheduler(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))  # a wrong argument is found here
    if not isinstance(made, LRScheduler):
        raise ValueError(
            f"scheduler {config.scheduler.target} made a {type(made).__name__}, not an LRScheduler of torch"
        )
    optimizer_config = dict(config.optimizer.node)
    if config.trainer.precision == "16-mixed" and optimizer_config.get("fused"):
        # A fused optimizer undoes the loss scaling by itself, after clipping and gradient norms had to see it undone.
        optimizer_config["fused"] = False
    recipe = Recipe(
        network,
        initializer,
        optimizer.build(optimizer_config),
        scheduler,
        goal,
        seed=seed,
        dropout_seed=seeds.order,
        compile=config.trainer.compile,
        channels_last=config.trainer.channels_last,
        example=example,
    )
    recipe.make_optimizer()  # refuses a model or an initializer that does not fit it, before any training
    targets = dataset.targets if goal.targets is None else goal.targets
    goal.metric.check_targets(targets, "data.targets" if goal.targets is None else "task.targets")
    schedule, open_loggers = Schedule(config.diagnostics), logger.prepare(config.logger.node)
    return RunParts(dataset, recipe, targets, total_steps, schedule, open_loggers)
