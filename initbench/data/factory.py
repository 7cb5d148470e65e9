"""From a config (a file of conf/data/, composed) to images."""

import inspect
import json
import pkgutil
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from initbench.data.base import Arrays
from initbench.data.images import ImageData

# Datasets that this process has read, so that a sweep decodes each once. A few, as they stay in memory.
_CACHE: OrderedDict[str, Arrays] = OrderedDict()
_CACHE_SIZE = 4


def build(cfg: Mapping[str, Any], *, seed: int) -> ImageData:
    """The images of `cfg`, with `seed` for the order of the images and for augmentation.

    The keys that ImageData takes are its settings; `_target_` is the dotted name of any function that
    returns Arrays, and all other keys are its arguments.

    Raises ValueError for a key that is missing or unknown, a setting out of range, and data that cannot be
    read.
    """
    resolved = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    keys: dict[str, Any] = {str(key): value for key, value in dict(resolved).items()}  # type: ignore[arg-type]  # a DictConfig's container is a dict
    names = [name for name in inspect.signature(ImageData).parameters if name not in ("arrays", "seed")]
    missing = [name for name in ("_target_", *names) if name not in keys]
    if missing:
        raise ValueError(f"the data config lacks {', '.join(missing)}; see conf/config.yaml and conf/data/")
    settings = {name: keys.pop(name) for name in names}
    return ImageData(_load(keys), seed=seed, **settings)


def _load(keys: dict[str, Any]) -> Arrays:
    key = json.dumps(keys, sort_keys=True)
    arrays = _CACHE.pop(key, None)
    if arrays is None or not arrays.is_current():
        arguments = {name: value for name, value in keys.items() if name != "_target_"}
        arrays = _call(keys["_target_"], arguments)
    _CACHE[key] = arrays
    while len(_CACHE) > _CACHE_SIZE:
        _CACHE.popitem(last=False)
    return arrays


def _call(target: str, arguments: dict[str, Any]) -> Arrays:
    try:
        source: Callable[..., Any] = pkgutil.resolve_name(target)
        inspect.signature(source).bind(**arguments)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"data._target_={target!r} cannot be imported: {error}") from error
    except TypeError as error:
        raise ValueError(f"data._target_={target!r} does not take these keys: {error}") from error
    arrays = source(**arguments)
    if not isinstance(arrays, Arrays):
        raise ValueError(f"data._target_={target!r} must return initbench.data.Arrays, got {type(arrays).__name__}")
    return arrays
