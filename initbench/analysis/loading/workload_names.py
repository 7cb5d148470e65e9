"""Names for workloads: model, data, optimizer, budget, and whatever else they differ in.

A workload is everything that runs share except initializer, learning rate and seed.
"""

import pandas as pd

from initbench.record.naming import differences, flatten, title
from initbench.record.plain import PlainConfig
from initbench.wording import count, visible


def name_workloads(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs with a column `workload`: a name in words.

    Workloads that would have the same name also get the keys of the config in which they differ. The learning rate is
    part of the name if the workload was run at only one.
    """
    groups = {str(key): group for key, group in runs.groupby("workload_id", sort=False)}
    parts = {key: (_head(group), _rate(group), _budget(group)) for key, group in groups.items()}
    more = differences({key: head + budget for key, (head, _, budget) in parts.items()}, workload_configs(runs))
    named = {key: visible("".join([*of, more[key]])) for key, of in parts.items()}
    return runs.assign(workload=runs["workload_id"].map(named))


def workload_configs(runs: pd.DataFrame) -> dict[str, PlainConfig]:
    """The config that the runs of each workload share, flat with dotted keys, by workload_id."""
    first = runs.drop_duplicates("workload_id")
    return {str(key): flatten(what) for key, what in zip(first["workload_id"], first["workload_config"], strict=True)}


def _head(runs: pd.DataFrame) -> str:
    first = runs.iloc[0]
    return title(first["model"], first["data"], first["optimizer"])


def _rate(runs: pd.DataFrame) -> str:
    rates = runs["lr"].dropna().unique()
    return f" lr {rates[0]}" if len(rates) == 1 else ""


def _budget(runs: pd.DataFrame) -> str:
    """The number of steps, which is known as soon as one run has started."""
    return f", {count(runs['budget'].max(), 'step')}" if runs["budget"].notna().any() else ""
