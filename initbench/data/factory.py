"""Build the images for a config (a composed file of conf/data/)."""

import inspect
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from initbench.data.base import Arrays, Sizes
from initbench.data.folder import image_folder_sizes
from initbench.data.images import ImageData, check_sizes
from initbench.data.mini import mnist_mini
from initbench.data.vision import SIZES
from initbench.record.plain import PlainConfig
from initbench.schema import target

# Datasets that this process has read, so that a sweep decodes each once. A few, as they stay in memory.
_CACHE: OrderedDict[str, Arrays] = OrderedDict()
_CACHE_SIZE = 4
_SETTINGS = [name for name in inspect.signature(ImageData).parameters if name not in ("arrays", "seed")]


def build(cfg: Mapping[str, Any], *, seed: int) -> ImageData:
    """The images of `cfg`, with `seed` for the order of the images and for augmentation.

    The keys that ImageData takes are its settings, whose ranges the config's schema has checked; `_target_` is
    the dotted name of any function that returns Arrays, and all other keys are its arguments.

    Raises ValueError for arguments that the function does not take, settings that do not suit the data, and data
    that cannot be read.
    """
    resolved = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    keys: PlainConfig = {str(key): value for key, value in dict(resolved).items()}  # type: ignore[arg-type]  # a DictConfig's container is a dict
    settings = {name: keys.pop(name) for name in _SETTINGS}
    return ImageData(_load(keys), seed=seed, **settings)


def check_source(cfg: Mapping[str, Any]) -> None:
    """Raise ValueError unless `_target_` is a function that takes the keys that are not settings. Nothing is read."""
    target.check_node("data", {key: value for key, value in cfg.items() if key not in _SETTINGS})


def look(cfg: Mapping[str, Any]) -> Sizes | None:
    """The sizes of the images of `cfg`, None for a dataset of the user's own. Nothing is downloaded or decoded.

    Raises ValueError for a folder without images, and for settings that do not suit the sizes.
    """
    keys = {key: value for key, value in cfg.items() if key not in (*_SETTINGS, "_target_")}
    match cfg["_target_"]:
        case "initbench.data.image_folder":
            sizes = image_folder_sizes(**keys)
        case "initbench.data.torchvision_dataset":
            sizes = SIZES[keys["dataset"]]
        case "initbench.data.mnist_mini":
            arrays = mnist_mini()
            sizes = Sizes(len(arrays.train_images), arrays.in_channels, arrays.image_size, arrays.num_classes)
        case _:
            return None
    limited = {name: cfg[name] for name in ("batch_size", "val_size", "crop_padding", "cutout")}
    check_sizes(sizes.train_images, sizes.image_size, **limited)
    return sizes


def _load(keys: PlainConfig) -> Arrays:
    key = json.dumps(keys, sort_keys=True)
    arrays = _CACHE.pop(key, None)
    if arrays is None or not arrays.is_current():
        arrays = target.call("data", keys)
        if not isinstance(arrays, Arrays):
            returned = type(arrays).__name__
            raise ValueError(f"data._target_={keys['_target_']!r} must return initbench.data.Arrays, got {returned}")
    _CACHE[key] = arrays
    while len(_CACHE) > _CACHE_SIZE:
        _CACHE.popitem(last=False)
    return arrays
