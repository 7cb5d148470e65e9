"""Builds the model of a config and checks that it fits the data."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from initbench.schema import target

GIVEN = ("in_channels", "image_size", "num_classes")  # to every model, as the data has them


def build(cfg: Mapping[str, Any], *, in_channels: int, image_size: int, num_classes: int) -> nn.Module:
    """Build `cfg` (`_target_`, a label `name`, the model's own keys) for images of the given shape.

    A copy of the model is run once on a batch of zeros, so that a network that is too deep for small images is refused
    here and not during training; the model that is returned has never run.

    Raises ValueError if the model cannot be constructed, cannot process such images, or does not return scores of shape
    (batch, num_classes).
    """
    node = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg))
    keys: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment] # of a mapping
    name = keys.get("name") or keys.get("_target_")
    shape = f"{in_channels}x{image_size}x{image_size}"
    data = dict(zip(GIVEN, (in_channels, image_size, num_classes), strict=True))
    target.check_node("model", keys, GIVEN)
    try:
        model = target.call("model", keys, **data)
    except ValueError as error:
        raise ValueError(f"model {name}: {error}") from error
    except Exception as error:  # any exception of the constructor is the reason
        raise ValueError(f"model {name} cannot be built for {shape} images: {target.line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {name}: its _target_ made a {type(model).__name__}, not an nn.Module")
    try:
        output = _scores(model, torch.zeros(2, in_channels, image_size, image_size))
    except Exception as error:  # any exception of the model's forward is the reason
        raise ValueError(f"model {name} cannot take {shape} images: {target.line(error)}") from error
    if output.shape != (2, num_classes):
        raise ValueError(
            f"model {name} cannot take {shape} images: for a batch of 2 it returns "
            f"shape {tuple(output.shape)}, not (2, {num_classes})"
        )
    return model


def _scores(model: nn.Module, images: Tensor) -> Tensor:
    """The output of one forward pass in evaluation mode; the model and torch's global generator do not change."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        output = copy.deepcopy(model).eval()(images)
    if not isinstance(output, Tensor):
        raise TypeError(f"it returns a {type(output).__name__}, not a tensor of scores")
    return output
