"""Hydra's instantiate, with a user's mistake as one ValueError instead of a chain of exceptions."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate


def instantiate(what: str, config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """The object that `config` (a node with `_target_`) describes; `what` names it in the error.

    Keyword arguments are passed as they are, never merged into the config: they may be modules or parameters.
    Raises ValueError where the target cannot be imported or does not take the arguments.
    """
    try:
        return _factory(json.dumps(dict(config)))(*args, **kwargs)
    except (InstantiationException, TypeError) as error:
        cause = error.__cause__ or error
        raise ValueError(f"{what} {config.get('_target_')}: {cause}".replace("\n", " ")) from error


@lru_cache(maxsize=128)  # milliseconds each, and every run of a sweep needs a few
def _factory(config: str) -> Callable[..., Any]:
    made: Callable[..., Any] = hydra_instantiate({**json.loads(config), "_partial_": True}, _convert_="all")
    return made
