"""What workloads are called: model, data, optimizer and budget, and by what else they differ.

A workload is all that is equal but initializer, learning rate and seed.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

_ABSENT = object()


def name_workloads(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs with a column `workload`, in words; workloads with the same name also get the keys of the
    config in which they differ.

    The learning rate is part of the name where a workload was run at one only.
    """
    plain = {str(key): _plain(group) for key, group in runs.groupby("workload_id", sort=False)}
    configs = workload_configs(runs)
    alike = defaultdict(list)
    for key, name in plain.items():
        alike[name].append(key)
    named = {}
    for name, keys in alike.items():
        differing = varying({key: configs[key] for key in keys})
        for key in keys:
            parts = [f"{place}={differing[place][key]}" for place in differing if key in differing[place]]
            named[key] = ", ".join([name, *parts])
    # 1 and "1" are different configs that print alike.
    shared = {name for name, number in Counter(named.values()).items() if number > 1}
    named = {key: f"{name} ({key})" if name in shared else name for key, name in named.items()}
    return runs.assign(workload=runs["workload_id"].map(named))


def workload_configs(runs: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By workload_id the config that its runs share, flat, with dotted keys."""
    first = runs.drop_duplicates("workload_id")
    return {
        str(key): dict(_flat(what)) for key, what in zip(first["workload_id"], first["workload_config"], strict=True)
    }


def varying(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The keys in which configs differ, each with the value of every config that has it."""
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    found = {key: [config.get(key, _ABSENT) for config in configs.values()] for key in keys}
    differ = [key for key, values in found.items() if any(value != values[0] for value in values[1:])]
    return {key: {name: config[key] for name, config in configs.items() if key in config} for key in differ}


def _plain(runs: pd.DataFrame) -> str:
    first = runs.iloc[0]
    name = f"{first['model']} on {first['data']}, {first['optimizer']}"
    rates = runs["lr"].dropna().unique()
    if len(rates) == 1:
        name += f" lr {rates[0]}"
    if runs["budget"].notna().any():  # known as soon as one run has begun
        name += f", {runs['budget'].max():.0f} steps"
    return name


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows = []
    for key, value in config.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return rows
