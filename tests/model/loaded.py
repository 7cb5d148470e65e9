"""Models as their files in conf/ describe them."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from initbench import CONF

FILES = {path.stem: path for path in sorted((CONF / "model").glob("*.yaml"))}

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}

CIFAR = {"in_channels": 3, "image_size": 32, "num_classes": 10}


def load(model: str, **overrides: Any) -> DictConfig:
    """The YAML as Hydra composes it: below a parent, keys replaced by overrides."""
    return OmegaConf.create({"model": OmegaConf.merge(OmegaConf.load(FILES[model]), overrides)}).model


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def of_type(model: nn.Module, kind: type) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, kind)]
