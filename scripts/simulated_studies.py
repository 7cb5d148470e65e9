"""Simulated studies whose truth is known, for scripts/bench_verdict.py and tests/analysis/test_simulation.py.

Scores have standard deviation 1 within an initializer, and runs of the same seed have a correlation of 0.3. If there
are several workloads, half of the runs of a seed have the same luck as on the first one, as with workloads that
differ only in the optimizer.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.table import from_table
from initbench.analysis.verdict.verdict import Verdict
from initbench.metric import Metric

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]

CORRELATION, SHARED = 0.3, 0.5
MARGIN = 0.5  # standard deviations
METRIC = Metric("score", "score")
TARGETS = ("0.5", "1", "1.5")
HORIZON, EVERY = 200, 20  # steps of a simulated run, and between its evaluations

# What belongs to each run alone, of mean 0 and standard deviation about 1.
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: 1 - rng.exponential(size=shape),  # a tail of bad runs
    "heavy": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "discrete": lambda rng, shape: np.round(1.5 * rng.normal(size=shape)) / 1.5,  # many ties
    "bimodal": lambda rng, shape: 0.5 * rng.normal(size=shape) - 8 * (rng.random(shape) < 0.2),  # one in five fails
    "unequal spread": lambda rng, shape: rng.normal(size=shape) * np.geomspace(0.5, 2, shape[1]),
}


def scores(
    rng: np.random.Generator, distribution: str, inits: int, seeds: int, workloads: int = 1, leads: Sequence[float] = ()
) -> pd.DataFrame:
    """Index (workload, seed), a column for each initializer, of equal means but for `leads` of the first ones."""
    drawn: list[Array] = []
    for _ in range(workloads):
        common = np.sqrt(CORRELATION) * rng.normal(size=(seeds, 1))
        values = common + np.sqrt(1 - CORRELATION) * DISTRIBUTIONS[distribution](rng, (seeds, inits))
        values = np.round(2 * values) / 2 if distribution == "discrete" else values
        drawn.append(np.where(rng.random((seeds, inits)) < SHARED, drawn[0], values) if drawn else values)
    values = np.concatenate(drawn)
    values[:, : len(leads)] += np.asarray(leads)
    places = [[f"workload {number}" for number in range(workloads)], range(seeds)]
    index = pd.MultiIndex.from_product(places, names=["workload", "seed"])
    return pd.DataFrame(values, index, columns=[f"init{number}" for number in range(inits)])


def verdict_on(table: pd.DataFrame, reference: str | None = None, times: Array | None = None) -> Verdict:
    """What is said of scores as from `scores`; times: (runs, targets), as from `times_to_targets`, if there are any."""
    long = table.rename_axis(columns="init").stack().rename("score").reset_index()
    runs = from_table(long, METRIC, init="init", workload=["workload"], seed="seed")
    if times is not None:
        hits = np.where(times <= HORIZON, np.ceil(times / EVERY) * EVERY, np.nan)
        runs = runs.assign(
            **{f"steps_to_{target}": hits[:, at] for at, target in enumerate(TARGETS)},
            **{f"seconds_to_{target}": hits[:, at] for at, target in enumerate(TARGETS)},
            steps_seen=float(HORIZON),
            seconds_seen=float(HORIZON),
            val_every_n_steps=EVERY,
        )
    return Verdict(Comparison(runs, METRIC, margin=MARGIN, reference=reference))


def times_to_targets(rng: np.random.Generator, table: pd.DataFrame) -> Array:
    """(runs, targets): steps of initializers that are alike, runs of one seed correlated; harder targets take longer.

    Some 10, 30 and 60 % of the runs do not reach the three targets within the horizon.
    """
    common = np.repeat(rng.normal(size=(len(table), 1)), table.shape[1], axis=0)
    own = rng.normal(size=(table.size, len(TARGETS)))
    pace = np.exp(0.5 * (np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own))
    return pace * np.array([105.0, 155.0, 225.0])


def said(verdict: Verdict, kinds: Sequence[str]) -> bool:
    """Whether a sentence of one of these kinds is part of the verdict."""
    return any(sentence.kind in kinds for sentence in verdict.sentences)


def is_false(verdict: Verdict, truth: Mapping[str, float]) -> bool:
    """Whether anything that is said about scores is false of initializers with these means on every workload."""
    kinds = {sentence.kind for sentence in verdict.sentences}
    for found in verdict.comparison.findings:
        lead = truth[found.leader]
        behind = [*found.better, *(found.apart if "apart" in kinds else [])]
        behind += list(map(str, found.rivals.index)) if found.winner == found.leader else []
        if any(truth[init] >= lead for init in behind) or any(truth[init] <= lead for init in found.worse):
            return True
    return "differs" in kinds


# The sentences that are false where all initializers are equal.
ABOUT_SCORES = ("winner", "better", "worse", "reference", "apart", "differs")
ABOUT_TIMES = ("fastest",)
