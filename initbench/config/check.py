"""Whether a config can be run: the first mistake in it, in one line of our own words.

`check` compares a config with the schema and imports nothing that takes seconds. `check_targets` compares what the
options add with the signatures of their functions, and so imports torch. What builds the parts of a run does the same
by itself. `check_parts` is for dry runs: it builds the model where the sizes of the data can be told.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from initbench.config.resolve import resolve
from initbench.errors import UserMistake, explain
from initbench.registry import CONF, LIGHTNING_TASK

if TYPE_CHECKING:
    from torch import nn

    from initbench.schema.config import AnyConfig
    from initbench.sizes import Sizes

# What a sweep has one of, so that it must be there before the first job.
_OF_THE_SWEEP = ("study", "runs_dir", "report", "tuning", "until", "race", "dry_run", "force", "print_init")


def check(config: Mapping[str, Any], overrides: Collection[str] = ()) -> "AnyConfig":
    """The typed form of a resolved config. Raises UserMistake for what no run can be made of.

    `overrides` are what was typed, in which the name of an option may have been set where an option was meant.
    """
    from initbench.config.mistakes import mistakes
    from initbench.schema.config import schema_of

    if missing := next(_missing(config), None):
        raise UserMistake(f"{missing} has no value yet: give one, {missing}=...")
    for _, line in mistakes(config, overrides):
        raise UserMistake(line)
    for override in overrides:
        key, _, value = override.partition("=")
        group, _, attribute = key.lstrip("+").partition(".")
        # timm and torchvision look a model up by it; everywhere else it would rename a run and choose nothing.
        if attribute == "name" and not key.startswith("~") and "architecture" not in config[group]:
            raise _only_a_label(group, value)
    if not {"_target_", "weight"} & config["init"].keys():
        neither = "has neither _target_, a function that initializes, nor weight, the initializer of the weights"
        raise UserMistake(f"init={config['init']['name']} {neither}: add one to its file")
    for group in ("init", "model", "data", "task", "optimizer", "scheduler"):
        name, target = config[group]["name"], config[group].get("_target_")
        named = _target_of(group, name)
        if (
            target
            and named not in (None, target)
            and any(target == _target_of(group, other) for other in _options(group))
        ):
            raise _only_a_label(group, name)
    return schema_of(config).model_validate(config)


def _only_a_label(group: str, name: str) -> UserMistake:
    return UserMistake(f"{group}.name is a label and chooses nothing; did you mean {group}={name}?")


def _options(group: str) -> list[str]:
    return [path.stem for path in (CONF / group).glob("*.yaml")]


@cache
def _target_of(group: str, name: str) -> str | None:
    """The `_target_` of an option of ours; None where there is no such option, or it has none."""
    if name not in _options(group):
        return None
    target: str | None = yaml.safe_load((CONF / group / f"{name}.yaml").read_text("utf-8")).get("_target_")
    return target


def check_sweep(master: DictConfig) -> None:
    """Raise UserMistake for a sweep none of whose jobs could run.

    `master` is the config without what is swept over, so that a value that it lacks may be one that each job has.
    """
    from initbench.config.mistakes import mistakes

    try:
        config = resolve(master, master.hydra)
    except OmegaConfBaseException as error:
        raise UserMistake(explain(error)) from error
    missing = list(_missing(config))
    for path in missing:
        if path.partition(".")[0] in _OF_THE_SWEEP:
            raise UserMistake(f"{path} has no value yet: give one, {path}=...")
    for key, line in mistakes(config, master.hydra.overrides.task):
        if not any(path.startswith(key) for path in missing):
            raise UserMistake(line)


def check_targets(config: Mapping[str, Any]) -> None:
    """Raise UserMistake where the `_target_` of an option is none, or does not take the option's other keys."""
    own = config["task"]["_target_"] == LIGHTNING_TASK
    brought = {"model", "data", "optimizer", "scheduler"} if own else set()  # by the module
    for group in ("init", "model", "data", "task", "optimizer", "scheduler", "trainer", "logger"):
        if group not in brought and (mistake := _mistake_in(group, json.dumps(config[group]))):
            raise UserMistake(mistake)


def check_parts(config: Mapping[str, Any]) -> None:
    """Raise UserMistake where data, task, model, initializer and optimizer of a run do not go together, for a dry run.

    It takes what `check_targets` has passed. Of a dataset of the user's own nothing is known before it is read.
    """
    chosen = [config[group] for group in ("data", "task", "model", "init")]
    at_any_rate = {**config["optimizer"], "lr": 1.0}  # so that runs with other learning rates share one answer
    if mistake := _mistake_together(json.dumps([*chosen, at_any_rate])):
        raise UserMistake(mistake)


@cache
def _mistake_together(text: str) -> str:
    from initbench import data, optimizer
    from initbench.init import Initializer
    from initbench.model import example
    from initbench.schema import target

    dataset, goal, network, init, optimizer_config = json.loads(text)
    try:
        if goal["_target_"] == LIGHTNING_TASK:
            module, _ = target.call("task", goal).build()
            Initializer.from_config(init).plan(module)
        elif (sizes := data.look(dataset)) is not None:
            model, inputs = _model(json.dumps(network), json.dumps(goal), sizes), example(sizes)
            initializer = Initializer.from_config(init)
            initializer.plan(model, inputs)
            factors = partial(initializer.optimizer_factors, model, example=inputs)
            optimizer.build(optimizer_config)(model, lambda adaptive: factors(adaptive=adaptive), inputs)
    except ValueError as error:
        return str(error)
    return ""


@lru_cache(maxsize=4)
def _model(text: str, goal: str, sizes: "Sizes") -> "nn.Module":
    from initbench import model, task

    chosen = task.build(json.loads(goal), sizes)
    return model.build(json.loads(text), sizes, chosen.given, chosen.outputs)


@cache  # the jobs of a sweep share most of their options
def _mistake_in(group: str, text: str) -> str:
    from initbench import data, logger, model, optimizer
    from initbench.init import Initializer
    from initbench.schema import target
    from initbench.schema.config import Trainer

    node = json.loads(text)
    try:
        if group == "init":
            Initializer.from_config(node)
        elif group == "model":
            model.check(node)
        elif group == "data":
            data.check_source(node)
        elif group == "optimizer":
            optimizer.build(node)
        elif node.get("_target_") == LIGHTNING_TASK:
            target.check_node(group, node)
            target.call(group, node).check()
        elif group == "task":
            target.check_node(group, node, positional=1)
        elif group == "scheduler":
            target.check_node(group, node, ("total_steps",), positional=1)
        elif group == "logger":
            logger.prepare(node)
        elif added := {key: value for key, value in node.items() if key not in Trainer.model_fields}:
            from lightning.pytorch import Trainer as LightningTrainer  # seconds

            target.check(LightningTrainer, added, "trainer.{}")
    except ValueError as error:
        return str(error)
    return ""


def _missing(value: Any, path: str = "") -> Iterator[str]:
    """What is still to be given, as it would be typed."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _missing(part, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _missing(part, f"{path}[{place}]")
    elif value == "???":
        yield path
