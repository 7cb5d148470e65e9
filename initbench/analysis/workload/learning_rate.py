"""Which runs represent an initializer that was run at several learning rates.

The rate is a nuisance parameter. It is chosen on the validation set by other seeds than the scored one, so that neither
the test set nor the luck of the scored seed plays a part.
"""

from dataclasses import dataclass

import pandas as pd

from initbench.analysis.statistics.blocks import TIE


@dataclass(frozen=True)
class Choice:
    """The learning rate that was chosen for an initializer in a workload, and the `rates` it was chosen from."""

    workload: str
    init: str
    lr: float  # the rate at which most seeds are scored
    rates: tuple[float, ...]
    cross_fitted: bool  # without tuning seeds, each seed is scored at the rate that the others choose

    @property
    def at_edge(self) -> bool:
        """Whether a better rate may be outside the grid."""
        return len(self.rates) > 1 and self.lr in (self.rates[0], self.rates[-1])


def choose_lr(runs: pd.DataFrame) -> float:
    """The learning rate with the highest mean `selection_score` over runs of one workload and initializer.

    Only seeds that were run at every rate count, or all seeds if there are none such; among equally good rates the
    middle one is taken. NaN if no run has ended.
    """
    table = runs.pivot_table(index="seed", columns="lr", values="selection_score", dropna=False)
    means = (table.dropna() if len(table.dropna()) else table).mean().dropna()
    best = means.index[means >= means.max() - TIE]
    return float(best[len(best) // 2]) if len(best) else float("nan")


def scored(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[Choice]]:
    """For each workload, initializer and seed the run at the learning rate chosen for it; and the choices.

    If the study has tuning seeds (`is_tuning`), they choose, and only other seeds are scored. If it has none but
    several rates, each seed is scored at the rate that all the other seeds choose; a single seed chooses for itself.
    Runs without a numeric learning rate are taken as they are, and so are all runs of an initializer as long as none
    has ended.
    """
    rate = pd.to_numeric(runs["lr"], errors="coerce")
    runs = runs.assign(lr=rate)
    kept: list[pd.DataFrame] = [runs[rate.isna() & ~runs["is_tuning"]]]
    choices = []
    for (workload, init), group in runs[rate.notna()].groupby(["workload", "init"], sort=False):
        rates = tuple(sorted(group["lr"].unique()))
        tuning, fresh = group[group["is_tuning"]], group[~group["is_tuning"]]
        if group["selection_score"].isna().all():
            lr = float("nan")
            kept.append(fresh)
        elif len(tuning):
            lr = choose_lr(tuning)
            kept.append(fresh[fresh["lr"] == lr])
        elif len(rates) == 1:
            lr = rates[0]
            kept.append(fresh)
        else:
            others = {seed: fresh[fresh["seed"] != seed] for seed in fresh["seed"].unique()}
            chosen = {seed: choose_lr(rest if len(rest) else fresh) for seed, rest in others.items()}
            kept.append(fresh[fresh["lr"] == fresh["seed"].map(chosen)])
            lr = float(pd.Series(chosen).mode().max())
        choices.append(Choice(str(workload), str(init), lr, rates, cross_fitted=len(rates) > 1 and not len(tuning)))
    # The same run may be in two folders, or in two studies: it counts once, and one that ended comes first.
    runs = pd.concat(kept).sort_index()
    best_first = runs.sort_values("selection_score", key=lambda scores: scores.isna(), kind="stable")
    return runs.loc[best_first.drop_duplicates(["workload", "init", "seed", "lr"]).index.sort_values()], choices
