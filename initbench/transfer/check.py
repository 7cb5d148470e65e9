"""The coordinate check beside it: how large features are after a few steps, at every value, and 2 / lambda_max at init.

With a rate that is right at all widths, features are equally large at all of them (Yang & Hu et al. 2021, app. D.1).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from initbench.analysis.loading.parquet_tables import read_tables
from initbench.transfer.asked import RATE, Asked
from initbench.transfer.best_rate import at
from initbench.transfer.drift import Drift

STEPS = 4
_REPLACED = r"(seeds?|diagnostics|scheduler|logger|trainer\.max_steps)[.=]"
_SIZE, _CRITICAL = "pre_second_moment", "critical_learning_rate"


@dataclass(frozen=True)
class Check:
    """sizes: by layer, the root mean square of its outputs after the steps, at each value; layers that all values have.

    critical: 2 / lambda_max of the loss at init at each value, NaN where it is not known.
    """

    critical: Sequence[float]
    sizes: Mapping[str, Sequence[float]] = field(default_factory=dict)


def study_of(asked: Asked) -> str:
    """The study of the short runs."""
    return f"{asked.study}_check"


def rate_of(drifts: Sequence[Drift]) -> float:
    """The rate of the short runs: the median over initializers of what is best at the smallest value."""
    return float(f"{2 ** float(np.median([drift.best[0] for drift in drifts])):.3g}")


def overrides(asked: Asked, rate: float) -> list[str]:
    """The sweep of short runs, with one seed and a constant rate."""
    own = [line for line in asked.overrides if not re.match(_REPLACED, line)]
    return [
        *own,
        asked.swept,
        f"{RATE}={rate:g}",
        "scheduler=constant",
        "seed=0",
        f"study={study_of(asked)}",
        f"trainer.max_steps={STEPS}",
        "diagnostics=schedule",
        f"diagnostics.steps=[0,{STEPS}]",
        "diagnostics.print=false",
        "diagnostics.curvature=true",
        "logger=none",
    ]


def checks(runs: pd.DataFrame, asked: Asked, rate: float) -> dict[str, Check]:
    """What the short runs at a rate have shown, by initializer."""
    runs = runs[np.isclose(pd.to_numeric(runs["lr"], errors="coerce"), rate)]
    rows, _ = read_tables(runs, "layers", ["step", "layer", "quantity", "value"], text=["layer", "quantity"])
    places = rows["run"].to_numpy(int)
    values = np.array([at(config, asked.key) for config in runs["workload_config"]], dtype=float)
    rows = rows.assign(init=runs["init"].to_numpy()[places], at=values[places])
    found = {}
    for init, group in rows.groupby("init"):
        critical = group[(group["step"] == 0) & (group["quantity"] == _CRITICAL)].groupby("at")["value"].first()
        sizes = group[(group["step"] == STEPS) & (group["quantity"] == _SIZE)]
        table = sizes.pivot_table(index="layer", columns="at", values="value", sort=False)
        table = table.reindex(columns=asked.values).dropna() ** 0.5
        found[str(init)] = Check(
            critical.reindex(asked.values).tolist(),
            {str(layer): row.tolist() for layer, row in table.iterrows()},
        )
    return found
