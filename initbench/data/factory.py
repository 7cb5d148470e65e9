"""Build the data of a config (a composed file of conf/data/)."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from initbench.data.arrays import Arrays
from initbench.data.base import Data, Settings, check_sizes
from initbench.data.folder import image_folder_sizes
from initbench.data.images import ImageData
from initbench.data.vectors import VectorData, Vectors
from initbench.data.vision import SIZES
from initbench.data.windows import TokenData, Tokens
from initbench.record.plain import PlainConfig
from initbench.schema import target
from initbench.sizes import Sizes

# Datasets that this process has read, so that a sweep reads each once. A few, as they stay in memory.
_CACHE: OrderedDict[str, Arrays | Vectors | Tokens] = OrderedDict()
_CACHE_SIZE = 4
_SETTINGS = [field.name for field in fields(Settings)]
# Sources of ours whose data is made or bundled, so that its sizes cost nothing.
_AT_HAND = ("mnist_mini", "curves", "text_mini")


def build(cfg: Mapping[str, Any], *, seed: int, augmentation: int | None = None, split: int | None = None) -> Data:
    """The data of `cfg`, with `seed` for the order of the samples and, unless it has one of its own, for augmentation.

    split: the seed by which training samples are held out; None: those that all runs hold out.

    The keys of `Settings` are settings, whose ranges the config's schema has checked; `_target_` is the dotted name of
    any function that returns Arrays, Vectors or Tokens, and all other keys are its arguments.

    Raises ValueError for arguments that the function does not take, settings that do not suit the data, and data
    that cannot be read.
    """
    resolved = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    keys: PlainConfig = {str(key): value for key, value in dict(resolved).items()}  # type: ignore[arg-type]  # a DictConfig's container is a dict
    settings = Settings(**{name: keys.pop(name) for name in _SETTINGS})
    match source := _load(keys):
        case Arrays():
            return ImageData(source, settings, seed=seed, augmentation=augmentation, split_seed=split)
        case Vectors():
            return VectorData(source, settings, seed=seed, split_seed=split)
        case Tokens():
            return TokenData(source, settings, seed=seed, split_seed=split)


def check_source(cfg: Mapping[str, Any]) -> None:
    """Raise ValueError unless `_target_` is a function that takes the keys that are not settings. Nothing is read."""
    target.check_node("data", {key: value for key, value in cfg.items() if key not in _SETTINGS})


def look(cfg: Mapping[str, Any]) -> Sizes | None:
    """The sizes of the data of `cfg`, None for a dataset of the user's own. Nothing is downloaded or decoded.

    Raises ValueError for a folder without images, and for settings that do not suit the sizes.
    """
    keys = {key: value for key, value in cfg.items() if key not in _SETTINGS}
    arguments = {key: value for key, value in keys.items() if key != "_target_"}
    package, _, name = cfg["_target_"].rpartition(".")
    if package != "initbench.data":
        return None
    if name == "image_folder":
        sizes = image_folder_sizes(**arguments)
    elif name == "torchvision_dataset":
        sizes = SIZES[arguments["dataset"]]
    elif name in _AT_HAND:
        sizes = _load(keys).sizes
    else:
        return None
    check_sizes(sizes, Settings(**{name: cfg[name] for name in _SETTINGS}))
    return sizes


def _load(keys: PlainConfig) -> Arrays | Vectors | Tokens:
    key = json.dumps({name: value for name, value in keys.items() if name != "name"}, sort_keys=True)
    source = _CACHE.pop(key, None)
    if source is None or not source.is_current():
        source = target.call("data", keys)
        if not isinstance(source, Arrays | Vectors | Tokens):
            returned = type(source).__name__
            wanted = "initbench.data.Arrays, Vectors or Tokens"
            raise ValueError(f"data._target_={keys['_target_']!r} must return {wanted}, got {returned}")
    _CACHE[key] = source
    while len(_CACHE) > _CACHE_SIZE:
        _CACHE.popitem(last=False)
    return source
