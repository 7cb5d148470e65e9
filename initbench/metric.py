"""What runs are judged by: the name of the score, its direction, its unit, and its chance level.

Inside analysis and report a *score* is the metric's value where more is better and its negative where less is, so that
only printing depends on the direction.
"""

import math
from dataclasses import dataclass
from typing import Any

_LEAST = 0.05  # of the way from chance to perfect: below it a run has learned nothing (see Metric.learned)


@dataclass(frozen=True)
class Metric:
    """`name` is how histories call it (val/<name>); `label` how tables and sentences do."""

    name: str
    label: str
    higher_is_better: bool = True
    is_share: bool = False  # of 0 to 1: sentences have percentages, and differences are in percentage points
    unit: str = ""  # of other metrics: "nats", "%"
    perfect: float | None = None  # the best value there can be, where that is known
    chance: float | None = (
        None  # the score of a network that has learned nothing; None where runs have their own, or none
    )

    @property
    def sign(self) -> int:
        """The factor (1 or -1) between value and score."""
        return 1 if self.higher_is_better else -1

    @property
    def points(self) -> str:
        """The unit of differences."""
        return "points" if self.is_share else self.unit

    @property
    def best(self) -> str:
        return "highest" if self.higher_is_better else "lowest"

    def margin(self, points: float) -> float:
        """A difference of scores from one as people type it: 0.5 points of a share are 0.005."""
        return points / 100 if self.is_share else points

    def cell(self, score: float) -> str:
        """A score as tables have it; "-" for NaN."""
        if math.isnan(score):
            return "-"
        # Rounded once before: two ways to the same mean differ in their last bits, which may be all between two
        # roundings; adding 0 makes -0 a 0.
        return f"{round(score, 10) * self.sign + 0.0:.4f}" if self.is_share else _digits(score * self.sign + 0.0, 5)

    def interval(self, low: float, high: float) -> str:
        """An interval of scores as tables have it, in the order of the values; empty where it is not known."""
        if math.isnan(low) or math.isnan(high):
            return ""
        ends = (low, high) if self.higher_is_better else (high, low)
        return " to ".join(map(self.cell, ends))

    def text(self, score: float) -> str:
        """A score as sentences have it: "89.09%", "2.31 nats"."""
        if self.is_share:
            return f"{100 * float(self.cell(score)):.2f}%"
        return " ".join([self.cell(score), *([self.unit] if self.unit else [])])

    def number(self, difference: float, sign: str = "") -> str:
        """A difference of scores as a bare number; `sign="+"` shows that of a gain."""
        if math.isnan(difference):
            return "-"
        return f"{100 * difference:{sign}.2f}" if self.is_share else _digits(difference, 3, sign)

    def difference(self, difference: float) -> str:
        """A difference of scores with its unit: "2.85 points"."""
        if self.is_share and 0 < abs(difference) < 0.00005:
            return "less than 0.01 points"
        return f"{self.number(difference)} {self.points}".rstrip()

    def bound(self, least: float) -> str:
        """A lower bound of a lead, above 0, rounded down so that it stays true: "at least 1.2 points"."""
        step = 1e-4 if self.is_share else 10.0 ** (math.floor(math.log10(least)) - 2)
        rounded = math.floor(least / step * (1 + 1e-9)) * step  # 0.3 is 2999.99... steps
        return f"at least {self.difference(rounded)}" if rounded else f"more than 0 {self.points}".rstrip()

    def target(self, value: float | str) -> str:
        """A target as it is shown: 0.985 of a share is 98.5%."""
        return f"{100 * float(value):.4g}%" if self.is_share else f"{float(value):g}"

    def learned(self, score: float, chance: float, best: float) -> bool:
        """Whether a run has learned anything: its score is a twentieth of the way or more from chance to perfect.

        A network that is stuck predicts one class: on MNIST's test set that is right for up to 11.35 %, above 1 / 10.
        `best` stands in for a perfect score where none is known. Without a chance level every score counts.
        """
        if math.isnan(score) or math.isnan(chance):
            return not math.isnan(score)
        perfect = best if self.perfect is None else self.perfect * self.sign
        return score - chance >= _LEAST * (perfect - chance) and score > chance


def _digits(value: float, digits: int, sign: str = "") -> str:
    """So many significant digits, zeros at the end too, that numbers below each other may be compared."""
    return f"{value:{sign}#.{digits}g}".rstrip(".")


# What initbench's own runs are judged by.
ACCURACY = Metric("accuracy", "test accuracy", is_share=True, perfect=1.0)

DEFAULT_MARGIN = 0.5  # points: the smallest difference of a share that is worth having, unless somebody says another


LARGEST = 1e50  # of anything that is computed with: beyond it a variance overflows


def check_number(value: Any, name: str) -> float | None:
    """None, or a number of any type as a float. Raises ValueError for anything else, and from 1e50 on."""
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if abs(number) >= LARGEST:
        raise ValueError(f"{name} must be a number below {LARGEST:g}, got {number:g}")
    return number


def check_margin(margin: object, name: str = "margin") -> float | None:
    """The margin as a float. Raises ValueError unless it is None or a number above 0."""
    number = check_number(margin, name)
    if number is not None and not number > 0:
        raise ValueError(f"{name} must be a number above 0, got {margin!r}")
    return number
