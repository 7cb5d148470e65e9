"""How a wrong value is reported: the value, what is allowed, the nearest match."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

# What other packages add to a group, and the extra of ours that installs it.
_EXTRAS = {
    "hydra/sweeper=optuna": "optuna",
    "hydra/launcher=submitit_local": "slurm",
    "hydra/launcher=submitit_slurm": "slurm",
}


class UserMistake(ValueError):  # noqa: N818 - it is the user's, not an error of the program
    """A config that cannot be run. The message is for the user; nothing was trained or written."""


class Unwritable(UserMistake):
    """Nothing can be recorded, the disk being full or read-only: it ends a sweep, as no run of it would fare better."""


class LeftAlone(UserMistake):
    """A run whose files must stay as they are: it is refused, without a record that says so."""


def nearest(value: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'relu'?"` for `value="rellu"`, an empty string where nothing is close."""
    by_letters = {name.lower(): name for name in allowed}  # MNIST is mnist
    matches = get_close_matches(value.lower(), list(by_letters), n=1, cutoff=0.6)
    return f" Did you mean {by_letters[matches[0]]!r}?" if matches else ""


def unknown(what: str, value: object, allowed: Iterable[str]) -> ValueError:
    """The error for a value outside a closed list, to be raised by the caller."""
    names = sorted(allowed)
    return ValueError(f"unknown {what} {value!r}.{nearest(str(value), names)} Allowed: {', '.join(names)}")


def explain(error: Exception) -> str:
    """The message for a refused config: Hydra's own list of options, and what the user may have meant."""
    # Here and not above: an initializer that refuses a value must not cost the import of Hydra.
    from hydra.errors import InstantiationException, MissingConfigException
    from omegaconf import DictConfig
    from omegaconf.errors import (
        ConfigAttributeError,
        ConfigKeyError,
        InterpolationResolutionError,
        OmegaConfBaseException,
    )

    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if extra := _EXTRAS.get(f"{group}={option}"):
            return f"{group}={option} is not installed: pip install 'initbench[{extra}]'"
        return (
            f"unknown option {group}={option}.{nearest(option, error.options)} "
            f"Available in {group}: {', '.join(sorted(error.options))}"
        )
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, ValueError):
        return str(error.__cause__)  # of a launcher or sweeper of ours, in its own words
    if isinstance(error, InterpolationResolutionError) and "HydraConfig was not set" in str(error):
        return f"{error.full_key}: the runs of a sweep are known by their configs, which cannot hold ${{hydra:...}}"
    if isinstance(error, UserMistake):
        return str(error)
    if variable := re.search(r"Environment variable '(.*)' not found", str(error)):
        return f"the environment variable {variable[1]}, which {error.full_key} names, is not set"  # type: ignore[attr-defined]  # set by OmegaConf
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {str(error).splitlines()[0]}"
    cause = error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node]
        where = str(cause.full_key).rpartition(".")[0] or "the config"
        meant = nearest(str(cause.key), keys) or _in_another_group(cause.parent_node, str(cause.key))
        return f"unknown key {cause.full_key}.{meant} Keys of {where}: {', '.join(keys)}"
    also = f" {cause}" if isinstance(cause, OmegaConfBaseException) else ""
    return " ".join(f"{error}{also}".split())


def _in_another_group(node: Any, key: str) -> str:
    """What `nearest` would return where another group of the config has a key of this name."""
    root = node._get_root()
    groups = [str(name) for name in root if name != "hydra" and isinstance(root._get_node(name), type(node))]
    found = [f"{name}.{key}" for name in groups if key in root[name]]
    return f" Did you mean {found[0]!r}?" if found else ""
