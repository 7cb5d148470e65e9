"""Simulated attributions: how often a claim is false, what is found, and what the interval of a share covers.

    python scripts/bench_attribution.py                 # all tables of docs/how_to/attribution.md; minutes on two cores
    python scripts/bench_attribution.py kept            # one of them
    python scripts/bench_attribution.py --studies 20    # a quick look, which is only printed

Scores have standard deviation 1 within an arm, and the arms of a seed have a correlation of 0.3, as in
scripts/simulated_studies.py, whose distributions they have. What is planted is said in standard deviations.
"""

import argparse
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from bench_verdict import Cells, show
from simulated_studies import CORRELATION, DISTRIBUTIONS, Array

from initbench.attribution.design import Design, Effect, design
from initbench.attribution.effects import Effects
from initbench.attribution.smallest import smallest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how_to" / "attribution.md"
NAMES = tuple("ABCDEFGHIJ")
STUDIES = 100  # in each cell, for each of six distributions
Planted = Mapping[Effect, float]

# Gains of parts, and of two parts beyond their sum.
SCENARIOS: dict[str, Planted] = {
    "nothing": {},
    "one part": {(0,): 1.5},
    "two that cancel": {(0,): 1.5, (1,): -1.5},
    "two that interact": {(0,): 1.0, (1,): 1.0, (0, 1): 2.0},
    "one, a little of the others": {(0,): 2.0, (1,): 0.05, (2,): 0.05},
}


def scores(rng: np.random.Generator, plan: Design, distribution: str, seeds: int, planted: Planted) -> pd.DataFrame:
    """Scores of the arms of a design, as `Effects` takes them."""
    arms = len(plan.arms)
    common = np.sqrt(CORRELATION) * rng.normal(size=(seeds, 1))
    values = common + np.sqrt(1 - CORRELATION) * DISTRIBUTIONS[distribution](rng, (seeds, arms))
    values = np.round(2 * values) / 2 if distribution == "discrete" else values
    return pd.DataFrame(values + truth(plan, planted))


def truth(plan: Design, planted: Planted) -> Array:
    """(arms,): what each arm scores on average; nothing if a draws all parts and nothing interacts."""
    levels = np.array([[1.0 if part in arm else -1.0 for part in plan.parts] for arm in plan.arms])
    means = np.zeros(len(levels))
    for effect, gain in planted.items():
        means += gain / (2 * len(effect)) * levels[:, list(effect)].prod(axis=1)
    return means


def is_true(plan: Design, planted: Planted, row: int, gain: float) -> bool:
    """Whether a row of `Effects.table` that is shown is right, its sign included."""
    if row == 0:
        means = truth(plan, planted)
        real = means[plan.arms.index(plan.parts)] - means[0]
    else:
        real = sum(planted.get(effect, 0.0) for effect in plan.groups[row - 1])
    return bool(real * gain > 1e-12)


def cell(key: tuple[str, int, int], studies: int) -> Cells:
    """Shares of studies with a false claim, over all distributions (the worst), and with all that is planted shown."""
    scenario, parts, seeds = key
    planted, plan = SCENARIOS[scenario], design(NAMES[:parts])
    false, found = [], []
    for distribution in DISTRIBUTIONS:
        rng = np.random.default_rng([parts, seeds, *scenario.encode(), *distribution.encode()])
        wrong = every = 0
        for _ in range(studies):
            table = Effects(plan, scores(rng, plan, distribution, seeds, planted)).table
            shown = np.flatnonzero(table["is_shown"])
            wrong += any(not is_true(plan, planted, row, table["gain"].iloc[row]) for row in shown)
            every += {plan.label(effect) for effect in planted} <= {*table.loc[shown, "effect"]}
        false.append(wrong / studies)
        found.append(every / studies)
    power = f"{np.mean(found):.2f}" if planted else "-"
    return [[scenario, str(parts), str(len(plan.arms)), str(seeds), f"{np.mean(false):.3f} ({max(false):.2f})", power]]


def kept(key: tuple[str, int, int], studies: int) -> Cells:
    """What the interval of a share covers, where the whole difference is shown: the share of the set that is chosen."""
    scenario, parts, seeds = key
    planted, plan = SCENARIOS[scenario], design(NAMES[:parts])
    full = design(NAMES[:parts]) if parts < 5 else Design(plan.parts, ())
    means = dict(zip(full.arms, truth(full, planted), strict=True))
    covered, off, right, number = 0, [], 0, 0
    best = tuple(plan.parts[effect[0]] for effect, gain in planted.items() if len(effect) == 1 and gain >= 1)
    for distribution in DISTRIBUTIONS:
        rng = np.random.default_rng([parts, seeds, *scenario.encode(), *distribution.encode()])
        for _ in range(studies):
            effects = Effects(plan, scores(rng, plan, distribution, seeds, planted))
            if not effects.table["is_shown"].iloc[0] or (small := smallest(effects)) is None:
                continue
            share = (means[small.parts] - means[()]) / (means[plan.parts] - means[()])
            covered += small.low <= share <= small.high
            off.append(small.share - share)
            right += small.parts == best
            number += 1
    if not number:
        return [[scenario, str(parts), str(seeds), "0", "-", "-", "-"]]
    numbers = [f"{covered / number:.2f}", f"{np.mean(off):+.2f}", f"{right / number:.2f}"]
    return [[scenario, str(parts), str(seeds), str(number), *numbers]]


LEVEL = [*product(list(SCENARIOS)[:4], (3, 5, 6, 7), (11, 15))]
KEPT = [*product(("one part", "two that interact", "one, a little of the others"), (3, 6), (11, 15))]


HEADINGS = {
    "level": ["planted", "parts", "arms", "seeds", "a false claim (worst)", "all of it found"],
    "kept": ["planted", "parts", "seeds", "studies", "95% interval covers", "estimate too high by", "the large ones"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="level or kept; both if none is named")
    parser.add_argument("--studies", type=int, default=STUDIES, help="in each cell, for each distribution")
    asked = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        for name, simulate, cells in (("level", cell, LEVEL), ("kept", kept, KEPT)):
            if name in (asked.tables or HEADINGS):
                rows = [row for rows in pool.map(partial(simulate, studies=asked.studies), cells) for row in rows]
                show(name, HEADINGS[name], rows, asked.studies == STUDIES, PAGE)


if __name__ == "__main__":
    main()
