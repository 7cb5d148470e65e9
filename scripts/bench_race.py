"""Simulated races: how often one is wrong, and how many runs it takes where a fixed number of seeds takes more.

    python scripts/bench_race.py                # all tables, half an hour on two cores; writes docs/explanation/race.md
    python scripts/bench_race.py runs           # one of them
    python scripts/bench_race.py --races 50     # a quick look, which is only printed

Scores are those of scripts/simulated_studies.py, with a standard deviation of 0.5 points within an initializer, and two
more kinds of runs, which are likely to mislead a rule that drops initializers after few seeds.
"""

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
from bench_verdict import Cells, show
from rich.progress import track
from scipy import stats
from simulated_studies import CORRELATION, DISTRIBUTIONS, Array

from initbench.analysis.race.course import Course, course
from initbench.analysis.race.rules import Rules
from initbench.analysis.statistics.pairs import holm
from initbench.analysis.statistics.sign_flips import EXACT_UP_TO, sign_flip

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "race.md"
DEVIATION, MARGIN = 0.5, 0.5  # points
MOST = 30  # seeds
PATTERNS = 2**11  # fewer than a race has, which takes as long again; any number is valid
INITS = (2, 4, 8)
SLIGHTLY = 0.1  # points, by which the only best leads
KINDS = {
    **DISTRIBUTIONS,
    # Half of the runs fail: after three seeds, every run of one and none of another has with probability 1 / 64.
    "half fail": lambda rng, shape: 0.1 * rng.normal(size=shape) + 8.0 * (rng.random(shape) < 0.5),
    "rare failures": lambda rng, shape: 0.5 * rng.normal(size=shape) - 20 * (rng.random(shape) < 0.02),
}


def draw(rng: np.random.Generator, kind: str, leads: list[float], seeds: int = MOST) -> Array:
    """Scores in points, (seeds, initializers), of means that differ by `leads` alone."""
    common = np.sqrt(CORRELATION) * rng.normal(size=(seeds, 1))
    own = KINDS[kind](rng, (seeds, len(leads)))
    values = common + np.sqrt(1 - CORRELATION) * own
    values = np.round(2 * values) / 2 if kind == "discrete" else values
    return DEVIATION * values + np.asarray(leads)


def level(cell: tuple[int, str], races: int) -> Cells:
    """How often races are wrong: one of several equal initializers wins, or the only best, slightly ahead, is out."""
    inits, kind = cell
    rng = np.random.default_rng([inits, *kind.encode()])
    rules = Rules(inits, most_seeds=MOST)
    strict = Rules(inits, most_seeds=MOST, strict=True)
    won, out, out_strict, lost = 0, 0, 0, 0
    for _ in range(races):
        alike = draw(rng, kind, [0.0] * inits)
        race = course(alike, rules, PATTERNS)
        won += race.winner is not None
        out += bool(race.exits)
        out_strict += bool(course(alike, strict, PATTERNS).exits)
        lost += 0 not in course(draw(rng, kind, [SLIGHTLY, *[0.0] * (inits - 1)]), rules, PATTERNS).inside
    return [[str(inits), kind, *(f"{number / races:.3f}" for number in (won, lost, out_strict, out))]]


UNLIKE: dict[str, Callable[[np.random.Generator], Array]] = {
    "the other varies four times as much": lambda rng: rng.normal(size=(MOST, 2)) * [0.5, 2.0],
    "the other is skewed": lambda rng: np.stack(
        [0.5 * rng.normal(size=MOST), 1.5 * (1 - rng.exponential(size=MOST))], axis=1
    ),
    "the other fails in 1 of 10 runs, by 10 points": lambda rng: np.stack(
        [0.5 * rng.normal(size=MOST), 1 + 0.5 * rng.normal(size=MOST) - 10.0 * (rng.random(MOST) < 0.1)], axis=1
    ),
}


def unlike(kind: str, races: int) -> Cells:
    """How often the only best of two, slightly ahead, is out, where the other is not alike but for its mean."""
    rng = np.random.default_rng([*kind.encode()])
    drawn = [
        course(np.add(UNLIKE[kind](rng), [SLIGHTLY, 0.0]), Rules(2, most_seeds=MOST), PATTERNS) for _ in range(races)
    ]
    return [[kind, f"{np.mean([0 not in race.inside for race in drawn]):.3f}"]]


def equality(cell: tuple[int, str, float], races: int) -> Cells:
    """How often a best one is called equal to others, all of which are behind by the margin; and equal ones."""
    inits, kind, deviation = cell
    rng = np.random.default_rng([inits, *kind.encode(), round(100 * deviation)])
    rules = Rules(inits, most_seeds=MOST, margin=MARGIN)
    found = []
    for lead in (MARGIN, 0.0):
        scale = deviation / DEVIATION
        leads = [lead / scale, *[0.0] * (inits - 1)]
        drawn = [course(scale * draw(rng, kind, leads), rules, PATTERNS // 2) for _ in range(races)]
        found += [
            np.mean([race.all_equal and 0 in race.inside for race in drawn]),
            np.mean([race.runs for race in drawn]),
        ]
    return [[str(inits), kind, f"{deviation:g}", f"{found[0]:.3f}", f"{found[2]:.2f}", f"{found[3]:.0f}"]]


LADDERS = {
    "0.25": [0.25, 0, 0, 0, 0],
    "0.5": [0.5, 0, 0, 0, 0],
    "1": [1.0, 0, 0, 0, 0],
    "2": [2.0, 0, 0, 0, 0],
    "0.5, 1, 3, 10 behind": [0, -0.5, -1, -3, -10],
    "1, 3, 10, 75 behind": [0, -1, -3, -10, -75],
}
SIZED_FOR = "0.5"  # the gap for which a fixed design is planned where nobody knows the gap


def runs(gap: str, races: int) -> Cells:
    """Five initializers: how often the best one wins, and what it takes, in a race and with a fixed number of seeds."""
    leads = LADDERS[gap]
    rng = np.random.default_rng([*gap.encode()])
    rules = Rules(len(leads), most_seeds=MOST)
    drawn = [course(draw(rng, "normal", leads), rules, PATTERNS) for _ in range(races)]
    power = float(np.mean([race.winner == 0 for race in drawn]))
    used = float(np.mean([race.runs for race in drawn]))
    if power < 0.5:  # it is the longest race there is, and rarely names anybody
        return [[gap, f"{power:.2f}", f"{used:.0f}", "-", "-", "-", "-"]]
    as_often = min(power, 0.95)
    fixed = [len(leads) * seeds_of_fixed(tuple(leads), races, as_often, is_holm) for is_holm in (True, False)]
    sized = len(leads) * seeds_of_fixed(tuple(LADDERS[SIZED_FOR]), races, as_often, True)
    return [[gap, f"{power:.2f}", f"{used:.0f}", *map(str, fixed), str(sized), f"{used / sized:.2f}"]]


def seeds_of_fixed(leads: tuple[float, ...], races: int, power: float, is_holm: bool) -> int:
    """The fewest seeds, fixed beforehand, with which the best is named as often; by Holm, or by rank verification."""
    rng = np.random.default_rng(1)
    drawn = np.stack([draw(rng, "normal", list(leads), 150) for _ in range(min(races, 300))])
    low, high = 5, 150
    while high - low > 1:
        seeds = (low + high) // 2
        named = np.mean([_is_named(scores[:seeds], is_holm) for scores in drawn])
        low, high = (low, seeds) if named >= power else (seeds, high)
    return high


def _is_named(scores: Array, is_holm: bool) -> bool:
    pairs = list(combinations(range(scores.shape[1]), 2))
    differences = np.stack([scores[:, i] - scores[:, j] for i, j in pairs], axis=1)
    # The differences are normal, and sign flips of many seeds take long and give nearly the same p.
    p = sign_flip(differences) if len(scores) <= EXACT_UP_TO else stats.ttest_1samp(differences, 0).pvalue
    p = holm(p) if is_holm else p
    own = [at for at, (i, _) in enumerate(pairs) if i == 0]
    return bool((p[own] < 0.05).all() and (differences[:, own].mean(axis=0) > 0).all())


ROUNDS = (8, 16, 32, 64)  # runs


def rounds(gap: str, races: int) -> Cells:
    """How many runs are trained if they are trained in rounds, and the race counts only those it needs."""
    leads = LADDERS[gap]
    rng = np.random.default_rng([*gap.encode()])
    rules = Rules(len(leads), most_seeds=MOST)
    drawn = [course(draw(rng, "normal", leads), rules, PATTERNS) for _ in range(races)]
    used = np.mean([race.runs for race in drawn])
    return [[gap, f"{used:.0f}", *(f"{np.mean([trained(race, size) for race in drawn]):.0f}" for size in ROUNDS)]]


def trained(race: Course, round_size: int) -> int:
    """All runs of its rounds: the first has all initializers, a later one the next seeds of those that are in."""
    begun = race.rules.first_look
    total = begun * race.rules.inits
    while begun < race.seeds:
        inside = race.rules.inits - sum(out.seeds <= begun for out in race.exits)
        more = min(math.ceil(round_size / inside), MOST - begun)
        begun, total = begun + more, total + more * inside
    return total


LOOKS = ((6, 12), (5, 10, 20), (10, 20, 30))


def looks(at: tuple[int, ...], races: int) -> Cells:
    """Two equal initializers, seeds added by hand until something is found: every look at 5 %, or at half the last."""
    rng = np.random.default_rng(at)
    plain, halved = 0, 0
    for _ in range(races):
        difference = np.subtract(*draw(rng, "normal", [0.0, 0.0]).T)
        p = [sign_flip(difference[:seeds]) for seeds in at]
        plain += any(value < 0.05 for value in p)
        halved += any(value < 0.05 / 2**place for place, value in enumerate(p))
    return [[", ".join(map(str, at)), f"{plain / races:.3f}", f"{halved / races:.3f}"]]


TABLES = {
    "level": (
        level,
        list(product(INITS, KINDS)),
        [
            "initializers",
            "runs",
            "equal: one wins",
            f"best by {SLIGHTLY}: it is out",
            "strict: any is out",
            "equal: any is out",
        ],
    ),
    "unlike": (unlike, list(UNLIKE), ["the best by 0.1, of two", "it is out"]),
    "equality": (
        equality,
        list(product(INITS, ("normal", "discrete"), (0.25, 0.5))),
        [
            "initializers",
            "runs",
            "deviation",
            "best by the margin: called equal",
            "equal: called equal",
            "runs of these",
        ],
    ),
    "runs": (
        runs,
        list(LADDERS),
        [
            "the best leads by, in points",
            "it wins",
            "runs of the race",
            "fixed, by Holm",
            "fixed, verified",
            f"by Holm, planned for {SIZED_FOR}",
            "race / that",
        ],
    ),
    "rounds": (
        rounds,
        list(LADDERS),
        ["the best leads by, in points", "runs of the race", *(f"trained, {size} a round" for size in ROUNDS)],
    ),
    "looks": (looks, list(LOOKS), ["looks after so many seeds", "each at 5%", "each at half of the last"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--races", type=int, default=1000, help="in each cell")
    asked = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        for name in asked.tables or TABLES:
            function, cells, headings = TABLES[name]
            work = partial(function, races=asked.races)
            found = list(track(pool.map(work, cells), name, total=len(cells)))
            show(name, headings, [row for rows in found for row in rows], write=asked.races >= 1000, page=PAGE)


if __name__ == "__main__":
    main()
