"""Signal and gradient through depth before the first step, from the diagnostics of runs."""

import pandas as pd

from initbench.analysis.loading.parquet_tables import read_tables

# The quantities with one number per layer, and their labels.
QUANTITIES = {
    "pre_second_moment": "second moment of the pre-activations",
    "gradient_second_moment": "second moment of their gradient",
    "dead": "share of dead units",
    "saturated": "share of saturated entries",
    "gradient_to_weight": "dW / W",
}


def median_curves(runs: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Medians over runs at step 0 by initializer, and the names of the runs whose diagnostics cannot be read.

    Each frame has one row per layer, in the order of execution, and one column for each of QUANTITIES.
    """
    rows, broken = read_tables(runs, "layers", ["step", "layer", "quantity", "value"], text=["layer", "quantity"])
    rows = rows[(rows["step"] == 0) & rows["quantity"].isin(QUANTITIES)]
    rows = rows.assign(init=runs["init"].to_numpy()[rows["run"].to_numpy(int)])
    found = {}
    for init, group in rows.groupby("init"):
        medians = group.groupby(["layer", "quantity"])["value"].median().unstack()
        found[str(init)] = medians.loc[group["layer"].unique()]  # unstack sorts by name
    return found, broken
