"""Simulations: how often the verdict is wrong or finds a true difference, and what its intervals cover.

    python scripts/bench_verdict.py                 # the tables of docs/explanation/comparison.md: two hours
    python scripts/bench_verdict.py power skew      # two of the tables
    python scripts/bench_verdict.py --studies 20    # a quick look, which is only printed

Each table is a block of docs/explanation/comparison.md. The studies are those of scripts/simulated_studies.py.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats
from simulated_samples import LAYOUTS, SCENARIOS
from simulated_studies import (
    ABOUT_SCORES,
    ABOUT_TIMES,
    DISTRIBUTIONS,
    MARGIN,
    Array,
    is_false,
    said,
    scores,
    times_to_targets,
    verdict_on,
)
from skewed_studies import skewness

from initbench.analysis.statistics.aggregate import interquartile_mean
from initbench.analysis.statistics.components import components
from initbench.analysis.statistics.new_data import intervals, share_of_test_set
from initbench.analysis.statistics.pairs import compare, holm
from initbench.analysis.statistics.row_swaps import Rows, chosen_differences, swap_test
from initbench.analysis.statistics.sign_flips import lower_bound, sign_flip
from initbench.analysis.statistics.student import mean_interval, simultaneous

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "comparison.md"
INITS, SEEDS, WORKLOADS = (2, 4, 8), (3, 5, 10, 20), (1, 4)
Cells = list[list[str]]


def level(cell: tuple[int, int, int], studies: int) -> Cells:
    """Shares of studies of equal initializers in which something is claimed: mean over distributions, and the worst."""
    workloads, inits, seeds = cell
    rng = np.random.default_rng(cell)
    about_scores, about_times, with_reference = [], [], []
    for distribution in DISTRIBUTIONS:
        drawn = [scores(rng, distribution, inits, seeds, workloads) for _ in range(studies)]
        verdicts = [verdict_on(table, times=times_to_targets(rng, table)) for table in drawn]
        about_scores.append(np.mean([said(verdict, ABOUT_SCORES) for verdict in verdicts]))
        about_times.append(np.mean([said(verdict, ABOUT_TIMES) for verdict in verdicts]))
        with_reference.append(np.mean([said(verdict_on(table, "init0"), ABOUT_SCORES) for table in drawn]))
    found = [_mean_and_worst(shares) for shares in (about_scores, with_reference, about_times)]
    return [[str(workloads), str(inits), str(seeds), *found]]


# Studies in which some claims are true: the true means, how many of the first are one workload's, and the reference.
PARTIAL: dict[str, tuple[list[float], str | None]] = {
    "two tied at the top, two behind": ([0, 0, -1, -1], None),
    "two tied at the top, six far behind": ([0, 0, *[-5] * 6], None),
    "one ahead, three tied": ([1, 0, 0, 0], None),
    "the reference tied with one, better than one, worse than one": ([0, 0, -1, 1], "init0"),
    "the reference behind two, tied with one": ([0, 0, 1, 1], "init0"),
}


def partly(cell: tuple[str, int, int], studies: int) -> Cells:
    """Shares of studies with a false claim: mean over distributions, and the worst."""
    name, workloads, seeds = cell
    means, reference = PARTIAL[name]
    rng = np.random.default_rng((workloads, seeds))
    truth = {f"init{number}": mean for number, mean in enumerate(means)}
    shares = [
        np.mean(
            [
                is_false(verdict_on(scores(rng, of, len(means), seeds, workloads, means), reference), truth)
                for _ in range(studies)
            ]
        )
        for of in DISTRIBUTIONS
        if of != "unequal spread"  # those that are tied are alike
    ]
    return [[name, str(workloads), str(seeds), _mean_and_worst(shares)]]


def power(cell: tuple[int, int], studies: int) -> Cells:
    """The best leads every other by 1 point; standard deviation 0.5, correlation 0.3."""
    inits, seeds = cell
    rng = np.random.default_rng(cell)
    found = {"verified": 0, "holm": 0, "lead covered": 0}
    for _ in range(studies):
        table = 0.5 * scores(rng, "normal", inits, seeds, leads=[2.0])
        pairs = compare(table).query("a == 'init0'")
        found["verified"] += len(pairs) == inits - 1 and bool((pairs["p"] < 0.05).all())
        found["holm"] += len(pairs) == inits - 1 and bool((pairs["p_holm"] < 0.05).all())
        values = table.to_numpy()
        least = lower_bound(values[:, :1] - values[:, 1:], np.ones(seeds)).min()
        found["lead covered"] += bool(least <= 1.0)
    return [[str(inits), str(seeds), *(f"{number / studies:.2f}" for number in found.values())]]


def coverage(seeds: int, studies: int) -> Cells:
    """What nominal 95 % intervals cover, of a population of a million."""
    rng = np.random.default_rng(seeds)
    rows = []
    for name in ("normal", "skewed", "bimodal"):
        population = DISTRIBUTIONS[name](rng, (1_000_000, 1))[:, 0]
        truth, middle = population.mean(), stats.trim_mean(population, 0.25)
        found: dict[str, list[bool]] = {"mean": [], "iqm": [], "leads": []}
        for _ in range(studies):
            drawn = DISTRIBUTIONS[name](rng, (seeds, 8))
            mean, half = mean_interval(drawn[:, 0].tolist())
            found["mean"].append(abs(mean - truth) <= half)
            low, high = interquartile_mean(_as_scores(drawn[:, :1])).iloc[0][["low", "high"]]
            found["iqm"].append(bool(low <= middle <= high))
            best = drawn.mean(axis=0).argmax()
            rivals = np.delete(drawn, best, axis=1)
            low_ends, high_ends = simultaneous(drawn[:, [best]] - rivals, comparisons=28)
            found["leads"].append(bool(((low_ends <= 0) & (high_ends >= 0)).all()))
        few = seeds < 5
        shares = [f"{np.mean(of):.2f}" for of in found.values()]
        rows.append([name, str(seeds), shares[0], "-" if few else shares[1], shares[2]])
    return rows


def _as_scores(values: Array) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["w"], range(len(values))], names=["workload", "seed"])
    return pd.DataFrame(values, index)


def tuned(cell: tuple[str, int, int], studies: int) -> Cells:
    """Equal initializers, five learning rates whose true means differ by 0.3; how often a difference is found."""
    protocol, tuning, seeds = cell
    rng = np.random.default_rng((tuning, seeds))
    swaps, flips = [], []
    for _ in range(studies):
        means = 0.3 * rng.normal(size=5)
        scored = means + rng.normal(size=(2, seeds, 5))
        if protocol == "grid":  # validation and test scores of a run correlate
            choosing = 0.7 * scored + 0.7 * rng.normal(size=scored.shape)
            rows = Rows(choosing, scored, tuple(range(seeds)), cross_fitted=True)
        else:
            choosing = means + rng.normal(size=(2, tuning, 5))
            rows = Rows(choosing, scored, tuple(range(-tuning, seeds)), cross_fitted=False)
        swaps.append(swap_test([rows]) < 0.05)
        flips.append(sign_flip(chosen_differences(rows)) < 0.05)
    how = "a grid, each seed at what the others choose" if protocol == "grid" else f"{tuning} tuning seeds"
    return [[how, str(seeds), f"{np.mean(swaps):.3f}", f"{np.mean(flips):.3f}"]]


def equality(cell: tuple[int, int], studies: int) -> Cells:
    """How often two initializers are called equal: where they differ by just the margin, and where they are."""
    inits, seeds = cell
    rng = np.random.default_rng(cell)
    shares = []
    for lead in (MARGIN, 0.0):
        drawn = [0.3 * scores(rng, "normal", inits, seeds) for _ in range(studies)]
        if lead:  # the spread is smaller than the margin, or nobody could tell
            for table in drawn:
                table["init0"] += lead
        shares.append(np.mean([_called_equal(table, is_false=lead > 0) for table in drawn]))
    return [[str(inits), str(seeds), *(f"{share:.2f}" for share in shares)]]


def _called_equal(table: pd.DataFrame, is_false: bool) -> bool:
    """Whether an equality is claimed: a false one, of init0 and another, or any."""
    (found,) = verdict_on(table).comparison.findings
    return bool(found.equal) and (not is_false or "init0" in {found.leader, *found.equal})


def smallest(inits: int, studies: int) -> Cells:
    """The fewest seeds with which the best of so many can be named, if it wins every seed; nothing is drawn."""
    pairs = inits * (inits - 1) // 2
    alone = next(n for n in range(1, 30) if sign_flip(np.ones(n)) < 0.05)
    corrected = next(n for n in range(1, 30) if holm([sign_flip(np.ones(n)), *[1.0] * (pairs - 1)])[0] < 0.05)
    return [[str(inits), str(alone), str(corrected)]]


def _mean_and_worst(shares: Sequence[float]) -> str:
    return f"{np.mean(shares):.3f} ({max(shares):.2f})"


def new_data(cell: tuple[str, int], studies: int) -> Cells:
    """Coverage for new samples: of both intervals of a mean and of a difference; and of the share of the test set."""
    name, seeds = cell
    scenario, rng = SCENARIOS[name], np.random.default_rng((*name.encode(), seeds))
    right, wrong = scenario.means()
    truths = (wrong, right - wrong)
    covered = np.zeros(5)
    for _ in range(studies):
        values = scenario.values(rng, seeds)
        found = intervals(values[1], are_shares=scenario.kind == "right"), intervals(values[0] - values[1])
        ends = [(of.low, of.high, of.new_low, of.new_high) for of in found]
        covered[:4] += [of[at] <= truth <= of[at + 1] for of, truth in zip(ends, truths, strict=True) for at in (0, 2)]
        _, low, high = share_of_test_set(values)
        covered[4] += low <= scenario.share() <= high
    return [[name, str(seeds), *(f"{share:.2f}" for share in covered / studies)]]


def parts_of_variance(name: str, studies: int) -> Cells:
    """Coverage of the share of each part of the variance."""
    layout, rng = LAYOUTS[name], np.random.default_rng([*name.encode()])
    truth = layout.truth
    covered = dict.fromkeys(truth, 0)
    for _ in range(studies):
        for part, found in components(layout.values(rng), layout.sources).items():
            covered[part] += found.low <= truth[part] / sum(truth.values()) <= found.high
    parts = ("weights", "order", "augmentation", "interaction", "test set")
    of_each = [f"{covered[part] / studies:.2f}" if part in covered else "-" for part in parts]
    return [[name, " x ".join(map(str, layout.seeds)), *of_each]]


class Simulation(NamedTuple):
    """A table of the page: its function makes the rows of one cell of the design."""

    function: Callable[..., Cells]
    cells: Sequence[Any]
    times: int  # so many times the studies asked for
    headings: list[str]


_PROTOCOLS = [("tuned", 3, 10), ("tuned", 10, 10), ("tuned", 10, 20), ("grid", 0, 6), ("grid", 0, 10), ("grid", 0, 20)]
_TESTS = ["sign flips", "Student's t", "Johnson's t", "bootstrap-t", "flips and Johnson", "flips and bootstrap"]
TABLES = {
    "level": Simulation(
        level,
        list(product(WORKLOADS, INITS, SEEDS)),
        1,
        ["workloads", "initializers", "seeds", "about scores", "with a reference", "about times"],
    ),
    "partial": Simulation(
        partly,
        list(product(PARTIAL, WORKLOADS, (6, 10))),
        1,
        ["studies in which some differ", "workloads", "seeds", "a false claim about scores"],
    ),
    "power": Simulation(
        power,
        list(product(INITS, (6, 8, 10, 20))),
        10,
        ["initializers", "seeds", "best verified", "better than all, by Holm", "least lead covers"],
    ),
    "seeds": Simulation(smallest, (2, 4, 6, 8), 1, ["initializers", "to verify the best", "by Holm over all pairs"]),
    "skew": Simulation(skewness, (6, 8, 10, 20), 10, ["seeds", "equal means", *_TESTS]),
    "coverage": Simulation(
        coverage,
        SEEDS,
        10,
        ["runs", "seeds", "mean ± (Student's t)", "interquartile mean", "leads of the best of 8, all at once"],
    ),
    "tuned": Simulation(
        tuned, _PROTOCOLS, 10, ["learning rates chosen by", "scored seeds", "rows swapped", "signs flipped"]
    ),
    "equality": Simulation(
        equality,
        list(product(INITS, (6, 10, 20))),
        6,
        ["initializers", "seeds", "called equal, but differ by the margin", "called equal, and are"],
    ),
    "components": Simulation(
        parts_of_variance,
        list(LAYOUTS),
        10,
        ["what runs differ by", "seeds", "weights", "order", "augmentation", "interaction", "test set"],
    ),
    "new_data": Simulation(
        new_data,
        list(product(SCENARIOS, (3, 5, 10))),
        20,
        ["samples", "seeds", "mean: these samples", "new samples", "difference: these samples", "new samples", "share"],
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="TABLE", help=f"{', '.join(TABLES)}")
    parser.add_argument(
        "--studies", type=int, default=100, help="studies of each distribution, in each cell of the first table"
    )
    asked = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        for name in asked.tables or TABLES:
            table = TABLES[name]
            work = partial(table.function, studies=table.times * asked.studies)
            cells = track(pool.map(work, table.cells), name, total=len(table.cells))
            show(name, table.headings, [row for rows in cells for row in rows], write=asked.studies >= 100)


def show(name: str, headings: list[str], rows: Cells, write: bool, page: Path = PAGE) -> None:
    """Prints a table, and writes it to the page."""
    printed = Table(*headings, title=name, box=SIMPLE_HEAD)
    for row in rows:
        printed.add_row(*row)
    Console().print(printed)
    if write:
        lines = [f"| {' | '.join(line)} |" for line in [headings, ["---"] * len(headings), *rows]]
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        block = "\n".join([begin, *lines, end])
        page.write_text(re.sub(f"{begin}.*?{end}", lambda _: block, page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
