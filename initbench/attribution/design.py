"""Two-level factorial designs: in each arm, every part of a model is drawn by one of two initializers.

Up to four parts, every combination is an arm. With more it is a regular fraction: all combinations of the first parts,
while each further part follows the product of the levels of some of these (its generator). The fractions are those of
minimum aberration in the tables of Box, Hunter & Hunter (2005), Statistics for Experimenters, and Montgomery (2017),
Design and Analysis of Experiments, table 8.14. Signs are chosen so that the arm in which a draws everything is in the
fraction. That in which b does is in it too if all defining words have an even number of letters; otherwise it is one
more arm, since the difference between these two is what is to be explained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np

from initbench.analysis.statistics.blocks import Array

Effect = tuple[int, ...]  # the places of one part (a main effect) or of two (their interaction)
MOST_PARTS = 10

# By the number of parts and that of the arms of the fraction: the generators of the parts after the first ones.
_GENERATORS: dict[int, dict[int, tuple[str, ...]]] = {
    2: {4: ()},
    3: {8: ()},
    4: {16: ()},
    5: {16: ("ABCD",)},
    6: {32: ("ABCDE",), 16: ("ABC", "BCD")},
    7: {32: ("ABCD", "ABDE"), 16: ("ABC", "BCD", "ACD")},
    8: {32: ("ABC", "ABD", "BCDE"), 16: ("BCD", "ACD", "ABC", "ABD")},
    9: {32: ("BCDE", "ACDE", "ABDE", "ABCE")},
    10: {32: ("ABCD", "ABCE", "ABDE", "ACDE", "BCDE")},
}


@dataclass(frozen=True)
class Design:
    """Which part is drawn by b in which arm."""

    parts: tuple[str, ...]
    generators: tuple[str, ...]

    @cached_property
    def levels(self) -> Array:
        """(arms of the fraction, parts): 1 where b draws a part, -1 where a does; in the first arm a draws all."""
        basic = len(self.parts) - len(self.generators)
        columns = [np.array(column, dtype=float) for column in zip(*product((-1, 1), repeat=basic), strict=True)]
        for generator in self.generators:
            columns.append(_sign(generator) * np.prod([columns[place] for place in _places(generator)], axis=0))
        return np.column_stack(columns)

    @cached_property
    def arms(self) -> list[tuple[str, ...]]:
        """The parts that b draws in each arm: those of the fraction and, if it lacks it, the arm with all parts."""
        found = [self.drawn_by_b(row) for row in self.levels]
        return found if self.parts in found else [*found, self.parts]

    def drawn_by_b(self, levels: Array) -> tuple[str, ...]:
        """The parts whose level is 1."""
        return tuple(part for part, level in zip(self.parts, levels, strict=True) if level > 0)

    @cached_property
    def words(self) -> dict[Effect, int]:
        """The defining words: the products of levels that are the same in all arms of the fraction, with their sign."""
        first = len(self.parts) - len(self.generators)
        own = [({*_places(of), first + at}, _sign(of)) for at, of in enumerate(self.generators)]
        found: dict[Effect, int] = {}
        for size in range(1, len(own) + 1):
            for chosen in combinations(own, size):
                word: set[int] = set()
                for letters, _ in chosen:
                    word ^= letters
                found[tuple(sorted(word))] = int(np.prod([sign for _, sign in chosen]))
        return found

    @property
    def resolution(self) -> int | None:
        """The length of the shortest defining word; None if every combination is an arm.

        With 4, main effects are told apart from interactions of two parts; with 5, these also from each other.
        """
        return min(map(len, self.words), default=None)

    @cached_property
    def groups(self) -> list[tuple[Effect, ...]]:
        """The effects of one part or two. Those that the design cannot tell apart are one group: they add up.

        As a draws all parts in one arm, each defining word of four letters has the sign 1.
        """
        found: dict[bytes, list[Effect]] = {}
        for effect in [(place,) for place, _ in enumerate(self.parts)] + [*combinations(range(len(self.parts)), 2)]:
            found.setdefault(self.column(effect).tobytes(), []).append(effect)
        return [*map(tuple, found.values())]

    def column(self, effect: Effect) -> Array:
        """(arms of the fraction,): 1 or -1, the product of the levels of the parts of an effect."""
        return np.prod(self.levels[:, list(effect)], axis=1)

    def label(self, effect: Effect) -> str:
        """The name of an effect: "qkv", or "qkv x head"."""
        return " x ".join(self.parts[place] for place in effect)


def design(parts: Sequence[str], arms: int | None = None) -> Design:
    """The design for these parts. `arms` chooses one with fewer arms, which tells fewer interactions apart.

    Raises ValueError for fewer than 2 or more than 10 parts, and where there is no design with so many arms.
    """
    if len(parts) not in _GENERATORS:
        raise ValueError(f"attribution takes 2 to {MOST_PARTS} parts, got {len(parts)}")
    known = _GENERATORS[len(parts)]
    if arms is not None and arms not in known:
        raise ValueError(
            f"arms={arms}: for {len(parts)} parts there is a design with {' or '.join(map(str, known))} arms"
        )
    return Design(tuple(parts), known[max(known) if arms is None else arms])


def _places(letters: str) -> list[int]:
    return [ord(letter) - ord("A") for letter in letters]


def _sign(generator: str) -> int:
    """The sign with which the generated part is drawn by a wherever a draws all others."""
    return 1 if len(generator) % 2 else -1
