"""Everything that one run is made of, built from its config."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from torch import nn

from initbench import data, model, optimizer, trainer
from initbench.data import ImageDataModule
from initbench.diagnostics.schedule import Schedule
from initbench.init import Initializer
from initbench.instantiate import instantiate
from initbench.module import Classifier


@dataclass
class Experiment:
    datamodule: ImageDataModule
    classifier: Classifier
    total_steps: int
    schedule: Schedule  # of the diagnostics


def assemble(config: Mapping[str, Any]) -> Experiment:
    """Build everything that a run is made of. Raises ValueError for whatever the user got wrong."""
    seed = config["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number in [0, 2^32), got {seed!r}")
    datamodule = data.build(config["data"], seed=seed)
    # What a constructor draws and no initializer redraws (a class token) depends on the seed alone.
    L.seed_everything(seed, verbose=False)
    network = model.build(
        config["model"],
        in_channels=datamodule.in_channels,
        image_size=datamodule.image_size,
        num_classes=datamodule.num_classes,
    )
    initializer = Initializer.from_config(config["init"])
    initializer.plan(network)
    total_steps = trainer.total_steps(config["trainer"], datamodule.steps_per_epoch)
    settings = {key: value for key, value in config["scheduler"].items() if key != "name"}
    scheduler = partial(instantiate, "scheduler", settings, total_steps=total_steps)
    scheduler(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))  # a wrong argument is found here
    optimizer_config = dict(config["optimizer"])
    if config["trainer"]["precision"] == "16-mixed" and optimizer_config.get("fused"):
        # A fused optimizer undoes the loss scaling by itself, after clipping and gradient norms had to see it undone.
        optimizer_config["fused"] = False
    classifier = Classifier(
        network,
        initializer,
        optimizer.build(optimizer_config),
        scheduler,
        seed=seed,
        compile=config["trainer"]["compile"],
        channels_last=config["trainer"]["channels_last"],
    )
    return Experiment(datamodule, classifier, total_steps, Schedule(config["diagnostics"]))
