"""Builds the model of a config and checks that it fits data and task."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from initbench.schema import target
from initbench.sizes import Sizes

# What data and task give to a model that takes it. Inputs are images, rows of numbers, or tokens; a model that takes
# out_features can be used for classes as well as for numbers.
GIVEN = (
    "in_channels",
    "image_size",
    "in_features",
    "vocab_size",
    "context_length",
    "num_classes",
    "out_features",
)


def build(cfg: Mapping[str, Any], sizes: Sizes, given: Mapping[str, int], outputs: Sequence[int]) -> nn.Module:
    """Build `cfg` (`_target_`, a label `name`, the model's own keys) for data of these sizes.

    given: what the task gives to models, beside the sizes of the inputs; outputs: the shape of what the model has to
    return for one sample.

    A copy of the model is run once on a batch of zeros, so that a network that is too deep for small images is refused
    here and not during training; the model that is returned has never run.

    Raises ValueError if the model cannot be constructed, cannot process such inputs, or returns another shape.
    """
    node = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg))
    keys: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment] # of a mapping
    name = keys.get("name") or keys.get("_target_")
    available = {**sizes.given, **given}
    check(keys)
    wanted = target.parameters("model", keys)
    if missing := [key for key in GIVEN if wanted.get(key) and key not in available]:
        has = ", ".join(available)
        raise ValueError(f"model {name} needs {', '.join(missing)}, but {sizes.what} and their task give {has}")
    try:
        model = target.call("model", keys, **{key: value for key, value in available.items() if key in wanted})
    except ValueError as error:
        raise ValueError(f"model {name}: {error}") from error
    except Exception as error:  # any exception of the constructor is the reason
        raise ValueError(f"model {name} cannot be built for {sizes.what}: {target.line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {name}: its _target_ made a {type(model).__name__}, not an nn.Module")
    try:
        output = _output(model, example(sizes))
    except Exception as error:  # any exception of the model's forward is the reason
        raise ValueError(f"model {name} cannot take {sizes.what}: {target.line(error)}") from error
    if output.shape != (2, *outputs):
        raise ValueError(
            f"model {name} cannot take {sizes.what}: for a batch of 2 it returns "
            f"shape {tuple(output.shape)}, not {(2, *outputs)}"
        )
    return model


def check(keys: Mapping[str, Any]) -> None:
    """Raise ValueError unless `_target_` takes the other keys beside what it is given."""
    wanted = target.parameters("model", keys)
    target.check_node("model", keys, [key for key in GIVEN if key in wanted])


def example(sizes: Sizes, batch: int = 2) -> Tensor:
    """Inputs of the type and shape that the model gets, all zeros."""
    dtype = torch.float32 if sizes.vocab_size is None else torch.int64
    return torch.zeros(batch, *sizes.input_shape, dtype=dtype)


def _output(model: nn.Module, inputs: Tensor) -> Tensor:
    """The output of one forward pass in evaluation mode; the model and torch's global generator do not change."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        output = copy.deepcopy(model).eval()(inputs)
    if not isinstance(output, Tensor):
        raise TypeError(f"it returns a {type(output).__name__}, not a tensor")
    return output
