"""What tasks are called: model, data, optimizer and budget, and by what else they differ."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

_ABSENT = object()


def titles(runs: pd.DataFrame) -> dict[str, str]:
    """A title for each task. Of tasks that would share one it has the keys of the config in which they differ.

    The learning rate is part of it where a task was run at one only.
    """
    plain = {str(task): _plain(group) for task, group in runs.groupby("task", sort=False)}
    configs = task_configs(runs)
    alike = defaultdict(list)
    for task, title in plain.items():
        alike[title].append(task)
    named = {}
    for title, tasks in alike.items():
        differing = varying({task: configs[task] for task in tasks})
        for task in tasks:
            parts = [f"{key}={differing[key][task]}" for key in differing if task in differing[key]]
            named[task] = ", ".join([title, *parts])
    return named


def task_configs(runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The config that the runs of each task share, flat, with dotted keys."""
    first = runs.drop_duplicates("task")
    return {str(task): dict(_flat(what)) for task, what in zip(first["task"], first["task_config"], strict=True)}


def varying(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The keys in which configs differ, each with the value of every config that has it."""
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    found = {key: [config.get(key, _ABSENT) for config in configs.values()] for key in keys}
    differ = [key for key, values in found.items() if any(value != values[0] for value in values[1:])]
    return {key: {name: config[key] for name, config in configs.items() if key in config} for key in differ}


def _plain(runs: pd.DataFrame) -> str:
    first = runs.iloc[0]
    title = f"{first['model']} on {first['data']}, {first['optimizer']}"
    rates = runs["lr"].dropna().unique()
    if len(rates) == 1:
        title += f" lr {rates[0]}"
    if runs["budget"].notna().any():  # known as soon as one run has begun
        title += f", {runs['budget'].max():.0f} steps"
    return title


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows = []
    for key, value in config.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return rows
