"""The command line as it was typed: made readable for Hydra if its meaning is clear, otherwise refused in one line.

Hydra's grammar of overrides has no letters beyond ASCII, no `=` and no `~` in a value without quotes, and its parser
of options answers a mistake with eight lines.
"""

import re
import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from initbench.config.paths import expand
from initbench.errors import UserMistake, nearest
from initbench.registry import CONF

TASKS = {"autoencoder": "autoencoder", "gpt": "language_model", "transformers": "language_model"}  # by model
# Hydra 1.3 gives --shell-completion a help that is no text, and Python 3.14 refuses it when the option is declared
# (facebookresearch/hydra#3121).
if sys.version_info >= (3, 14):
    ArgumentParser._check_help = lambda parser, action: None
# Keys that `another_way` has added to the default options: see `initbench.sweep.compose.check_forced`.
forced: list[str] = []


def readable(arguments: Sequence[str]) -> list[str]:
    """The arguments, overrides first, in a form that Hydra can read. Raises UserMistake if there is none."""
    parser = get_args_parser()
    parser.error = _refuse_option  # type: ignore[method-assign]  # it would print the usage and exit
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.config_dir == "":  # of a variable of the shell that is not set
        raise UserMistake("--config-dir is empty: give the path of a folder")
    overrides: list[str] = parsed.overrides
    options = list(arguments)
    for override in overrides:
        options.remove(override)
    options = [re.sub(r"(?<![^=])[~$].*", lambda path: expand(path[0]), option) for option in options]
    return [*map(_readable, overrides), *_brought(overrides), *options]


def _brought(overrides: Sequence[str]) -> list[str]:
    """The task of a model that no other task can train, unless a task or a study is chosen too."""
    chosen = dict(override.partition("=")[::2] for override in overrides)
    if {"task", "experiment"} & chosen.keys() or (task := TASKS.get(chosen.get("model", ""))) is None:
        return []
    return [f"task={task}"]


def _refuse_option(message: str) -> NoReturn:
    unknown = re.match(r"unrecognized arguments: (\S+)", message)
    known = ["--help", "--version", "--multirun", "--cfg", "--config-dir", "--info", "--resolve"]
    said = f"unknown option {unknown[1]}.{nearest(unknown[1], known)}" if unknown else f"{message}."
    raise UserMistake(f"{said} `python -m initbench --help` says what can be typed")


def _readable(override: str) -> str:
    key, equals, value = override.partition("=")
    if not (equals or key.startswith("~")) or not key.strip("+~") or not _is_parsed(f"{key}=0"):
        raise UserMistake(f"{override!r} is no override: type name=value, such as {_example(override)}")
    if re.match(r"\+\+?hydra\.", key):
        _check_hydra_key(key.lstrip("+"))
    value = re.sub(r"(^|[,\[])((?:file://)?)([~$][^,\]]*)", lambda at: at[1] + at[2] + expand(at[3]), value)
    for candidate in (value, ",".join(map(quoted, value.split(",")))):
        line = f"{key}{equals}{candidate}"
        if _is_parsed(line):
            return line
        if set("\"'()[]{}") & set(value):
            break  # it was meant as more than text
    if re.search(r"^\s*,|,\s*,|,\s*$", value):
        raise UserMistake(f"{override} has an empty value: commas stand between values, without spaces: seed=0,1,2")
    as_text = shlex.quote(f"{key}={quoted(value)}")
    raise UserMistake(f"{override} cannot be read as a list, a mapping or a function; as text it is typed {as_text}")


def _check_hydra_key(key: str) -> None:
    """Raise UserMistake for a key that Hydra would accept with a + and then ignore."""
    node: Any = OmegaConf.structured(HydraConf)
    where, *parts = key.split(".")
    for part in parts:
        kind = OmegaConf.get_type(node)
        if not isinstance(node, DictConfig) or not is_dataclass(kind):
            return  # of a launcher or sweeper, or a mapping of the user's own
        keys = [field.name for field in fields(kind) if field.name != "defaults"]
        if part not in keys:
            raise UserMistake(f"unknown key {where}.{part}.{nearest(part, keys)} Keys of {where}: {', '.join(keys)}")
        node, where = node._get_node(part), f"{where}.{part}"


def _example(word: str) -> str:
    groups = [path.parent.name for path in CONF.glob(f"*/{word}.yaml")] if word.isidentifier() else []
    return f"{groups[0]}={word}" if groups else "init=orthogonal"


def _is_parsed(override: str) -> bool:
    try:
        return bool(OverridesParser.create().parse_overrides([override]))
    except HydraException:
        return False


def quoted(text: str) -> str:
    """Text as a value in Hydra's grammar, in double quotes if it needs them."""
    if _is_parsed(f"key={text}"):
        return text
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + (found[2] and '\\"'), text) + '"'


def another_way(arguments: Sequence[str], error: Exception) -> list[str]:
    """How to compose the same command after Hydra refused it with `error`; empty if it cannot be composed.

    Hydra composes a sweep once without the swept groups, so `-m model=mlp,plain_cnn model.depth=4` sets a key that the
    default model lacks. The key is added, and each run whose model does not take it is refused by itself. If Hydra
    cannot compose a study, which needs no -m, it asks for -m, whatever the reason.
    """
    overrides = _overrides(arguments)
    has_study = any(override.startswith("experiment=") for override in overrides)
    is_sweep = {"-m", "--multirun"} & set(arguments)
    if has_study and not is_sweep and needs_multirun(error):
        return [*arguments, "-m"]
    cause = error.__cause__
    if not is_sweep or not isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return []
    group = str(cause.full_key).partition(".")[0]
    parsed = OverridesParser.create().parse_overrides(overrides)
    swept = {override.key_or_group for override in parsed if override.is_sweep_override()}
    added = [f"++{override}" for override in overrides if override.startswith(f"{cause.full_key}=")]
    if not added or not (has_study or {group, "experiment"} & swept):
        return []
    forced.append(str(cause.full_key))
    return [f"++{argument}" if f"++{argument}" in added else argument for argument in arguments]


def needs_multirun(error: Exception) -> bool:
    """Whether Hydra refused several values of a key for a single run."""
    return str(error).startswith("Ambiguous value for argument") or str(error).endswith("requires --multirun")


def without_multirun(arguments: Sequence[str]) -> str:
    """The line for a sweep that was typed without -m."""
    overrides = OverridesParser.create().parse_overrides(_overrides(arguments))
    several = next(str(override.input_line) for override in overrides if override.is_sweep_override())
    return f"{several} has several values, which takes a sweep: add -m, python -m initbench -m {shlex.quote(several)}"


def _overrides(arguments: Sequence[str]) -> list[str]:
    return [argument for argument in arguments if "=" in argument and not argument.startswith("-")]


def no_option(arguments: Sequence[str]) -> str:
    """The line for the first override that gives a group something other than the name of an option, if any does."""
    for override in OverridesParser.create().parse_overrides(_overrides(arguments)):
        group, value = override.key_or_group, override.value()
        options = _options(group)
        for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
            if (
                not options
                or isinstance(choice, str | QuotedString)
                or (group == "experiment" and isinstance(choice, list))
            ):
                continue
            if isinstance(choice, list):
                listed = ",".join(map(str, choice))
                return f"{group}=[{listed}] is several options for one run; a sweep is -m {group}={listed}"
            name = "null" if choice is None else choice
            return f"unknown option {group}={name}. Available in {group}: {', '.join(options)}"
    return ""


def _options(group: str) -> list[str]:
    """The options of a group that has files in conf/: those, and what plugins have stored."""
    files = [path.stem for path in (CONF / group).glob("*.yaml")]
    stored = ConfigStore.instance().list(group) if group.startswith("hydra/") and files else []
    return sorted({*files, *(name.removesuffix(".yaml") for name in stored if name.endswith(".yaml"))})
