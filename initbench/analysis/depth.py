"""Signal and gradient through depth before the first step, from the diagnostics of runs."""

import pandas as pd

from initbench.analysis.frame import load_layers

# Those that are one number a layer, and their names.
QUANTITIES = {
    "pre_second_moment": "second moment of the pre-activations",
    "gradient_second_moment": "second moment of their gradient",
    "dead": "share of dead units",
    "saturated": "share of saturated entries",
    "gradient_to_weight": "dW / W",
}


def median_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Median over runs at step 0: a row a layer in the order of execution, a column a quantity of QUANTITIES."""
    tables = [load_layers(path) for path in runs["path"]]
    if not any(len(table) for table in tables):
        return pd.DataFrame()
    rows = pd.concat(table for table in tables if len(table))
    rows = rows[(rows["step"] == 0) & rows["quantity"].isin(QUANTITIES)]
    medians = rows.groupby(["layer", "quantity"], sort=False)["value"].median().unstack()
    return medians.loc[rows["layer"].unique()]  # unstack sorts by name
