"""The course of a race: who is still in it, and whether it is decided, after each seed.

It is a function of the scores alone. However the runs were made, in which rounds and on which machines, stopped and
continued, the same scores give the same course.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations

import numpy as np

from initbench.analysis.race.rules import APART_BY, Rules
from initbench.analysis.statistics.blocks import Array, rounding
from initbench.analysis.statistics.sequential_flips import PATTERNS, Flags, SequentialFlips


@dataclass(frozen=True)
class Exit:
    """An initializer that is out of the race: after how many seeds, beaten by whom, and by how much on average."""

    init: int
    seeds: int
    by: int
    lead: float
    is_apart: bool  # in every run


@dataclass(frozen=True)
class Look:
    """The race after a number of seeds: who was in, who of them had the best mean, and the leads over the others.

    leads, bounds: of the best over each of the others that were in; the lead at which it would be out.
    """

    seeds: int
    best: int
    leads: dict[int, float]
    bounds: dict[int, float]


@dataclass
class Course:
    """What is known of a race so far; initializers are numbered.

    equal: pairs that are shown to differ by less than the margin.
    """

    rules: Rules
    inside: list[int]
    seeds: int = 0  # that have been looked at
    exits: list[Exit] = field(default_factory=list)
    equal: set[frozenset[int]] = field(default_factory=set)
    looks: list[Look] = field(default_factory=list)

    @property
    def winner(self) -> int | None:
        """The only one that is left."""
        return self.inside[0] if len(self.inside) == 1 else None

    @property
    def all_equal(self) -> bool:
        """Whether all that are left are equal to each other."""
        return len(self.inside) > 1 and all(frozenset(pair) in self.equal for pair in combinations(self.inside, 2))

    @property
    def runs(self) -> int:
        """The runs that it counts on one workload: those of each initializer until it is out."""
        return sum(out.seeds for out in self.exits) + len(self.inside) * self.seeds

    @property
    def is_over(self) -> bool:
        """Whether no more seeds are needed, or allowed."""
        return self.winner is not None or self.all_equal or self.seeds >= self.rules.most_seeds


def course(scores: Array, rules: Rules, patterns: int = PATTERNS) -> Course:
    """The race as far as the scores decide it.

    scores: (seeds, inits), one value for each seed, higher is better, NaN where a run is missing. It ends at the first
    seed that one of those that are in does not have; what those that are out have run since does not count.
    """
    race = Course(rules, list(range(scores.shape[1])))
    pairs = np.array(list(combinations(race.inside, 2))).reshape(-1, 2)
    flips = SequentialFlips(rules.level_of_flips, rules.spending, len(pairs), patterns)
    within = None
    if rules.margin is not None:  # two one-sided tests (Schuirmann 1987) for each pair
        within = SequentialFlips(rules.level_of_equality, rules.spending, 2 * len(pairs), patterns)
    while not race.is_over and race.seeds < len(scores) and not np.isnan(scores[race.seeds, race.inside]).any():
        first, second = pairs.T
        one, other = scores[race.seeds, first], scores[race.seeds, second]
        differences = np.where(np.abs(one - other) <= rounding(one, other), 0.0, one - other)
        race.seeds += 1
        above, below = flips.look(differences)
        if within is not None:
            shown, _ = within.look(np.concatenate([differences + rules.margin, rules.margin - differences]))
            race.equal |= {frozenset(pair) for pair in pairs[np.logical_and(*np.split(shown, 2))].tolist()}
        ahead = np.concatenate([pairs[above], pairs[below][:, ::-1]])
        beaten = {(int(i), int(j)): False for i, j in ahead}
        runs = scores[: race.seeds]
        if race.seeds == rules.apart_after:
            beaten |= dict.fromkeys(_apart(runs, race.inside), True)
        race.looks.append(_look(race, runs, pairs, flips.bounds))
        _drop(race, runs, beaten)
        left: Flags = np.asarray(np.isin(pairs, race.inside).all(axis=1))
        if not left.all():
            pairs = pairs[left]
            flips.keep(left)
            if within is not None:
                within.keep(np.tile(left, 2))
    return race


def _apart(runs: Array, inside: list[int]) -> Iterator[tuple[int, int]]:
    """The pairs the first of which is far better than the second in every run.

    If one of two with equal means varies far more than the other, all of its first few runs may happen to be above all
    of the other's. That they are also apart by a quarter of their range makes up for it if both are normal and one
    varies up to four times as much.
    """
    least, most = runs.min(axis=0), runs.max(axis=0)
    for i, j in permutations(inside, 2):
        if least[i] - most[j] > APART_BY * max(most[i] - least[i], most[j] - least[j]):
            yield i, j


def _look(race: Course, runs: Array, pairs: Array, bounds: Array) -> Look:
    means = runs.mean(axis=0)
    best = max(race.inside, key=lambda init: means[init])
    of_best = {int(i + j - best): float(bound) for (i, j), bound in zip(pairs, bounds, strict=True) if best in (i, j)}
    leads = {init: float(means[best] - means[init]) for init in of_best}
    return Look(race.seeds, best, leads, {init: bound / len(runs) for init, bound in of_best.items()})


def _drop(race: Course, runs: Array, beaten: dict[tuple[int, int], bool]) -> None:
    """Those that are beaten leave, each by the hand of the best that beats it."""
    means = runs.mean(axis=0)
    for out in [init for init in race.inside if any(init == loser for _, loser in beaten)]:
        by = max((winner for winner, loser in beaten if loser == out), key=lambda init: means[init])
        lead = float(means[by] - means[out])
        race.exits.append(Exit(out, race.seeds, by, lead, beaten[by, out]))
    gone = {of.init for of in race.exits}
    race.inside = [init for init in race.inside if init not in gone]
