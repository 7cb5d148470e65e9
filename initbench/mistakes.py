"""What the user got wrong, in one message: our own refusals and Hydra's, the latter with the nearest match."""

from hydra.errors import InstantiationException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from initbench.errors import nearest


def explain(error: Exception) -> str:
    """The message for a refused config: Hydra's own list of options, and what the user may have meant."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return (
            f"unknown option {group}={option}.{nearest(option, error.options)} "
            f"Available in {group}: {', '.join(sorted(error.options))}"
        )
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, ValueError):
        return str(error.__cause__)  # of a launcher or sweeper of ours, in its own words
    if isinstance(error, InterpolationResolutionError) and "HydraConfig was not set" in str(error):
        return f"{error.full_key}: the runs of a sweep are known by their configs, which cannot hold ${{hydra:...}}"
    cause = error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node]
        where = str(cause.full_key).rpartition(".")[0] or "the config"
        return f"unknown key {cause.full_key}.{nearest(str(cause.key), keys)} Keys of {where}: {', '.join(keys)}"
    lines = [str(error), str(cause) if isinstance(cause, OmegaConfBaseException) else ""]
    return " ".join(line for text in lines for line in text.split("\n") if line.strip())
