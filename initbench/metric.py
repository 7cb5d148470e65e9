"""The metric that runs are judged by: its name, direction, unit, and chance level.

In analysis and report a *score* is the value of the metric if higher is better, otherwise its negative, so that only
printing depends on the direction.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

_LEAST = 0.05  # of the way from chance to perfect; a run below has learned nothing, see Metric.learned


@dataclass(frozen=True)
class Metric:
    """A metric; histories call it by its `name` (val/<name>), tables and sentences by its `label`."""

    name: str
    label: str
    higher_is_better: bool = True
    is_share: bool = False  # between 0 and 1: sentences show percentages, and differences are in percentage points
    unit: str = ""  # of a metric that is not a share: "nats", "%"
    perfect: float | None = None  # the best possible value, if it is known
    chance: float | None = None  # the value without learning; None if it is unknown, or each run has its own

    @property
    def sign(self) -> int:
        """1 if higher is better, otherwise -1: the factor between value and score."""
        return 1 if self.higher_is_better else -1

    def at_chance(self, chance: float | None) -> "Metric":
        """The same metric on data where a model that has learned nothing has this value."""
        return replace(self, chance=chance)

    def is_reached(self, value: float, target: float) -> bool:
        """Whether a value is as good as the target."""
        return self.sign * value >= self.sign * target

    def best_of(self, values: Iterable[float]) -> float:
        """The best of some values."""
        return max(values) if self.higher_is_better else min(values)

    @property
    def worst(self) -> float:
        """The worst possible value, which may be infinite."""
        if self.is_share:
            return 0.0 if self.higher_is_better else 1.0
        return -self.sign * math.inf

    @property
    def points(self) -> str:
        """The unit of differences."""
        return "points" if self.is_share else self.unit

    @property
    def best(self) -> str:
        """The word for the best value."""
        return "highest" if self.higher_is_better else "lowest"

    def margin(self, points: float) -> float:
        """A difference of scores from one that a user types: 0.5 points of a share are 0.005."""
        return points / 100 if self.is_share else points

    def cell(self, score: float) -> str:
        """A score for a table; "-" for NaN."""
        if math.isnan(score):
            return "-"
        # Rounded to ten digits first: the same mean, computed in two ways, may differ in its last bits, and then print
        # differently. Adding 0 turns -0 into 0.
        return f"{round(score, 10) * self.sign + 0.0:.4f}" if self.is_share else _digits(score * self.sign + 0.0, 5)

    def interval(self, low: float, high: float) -> str:
        """An interval of scores for a table, in the order of the values; empty if it is not known."""
        if math.isnan(low) or math.isnan(high):
            return ""
        ends = (low, high) if self.higher_is_better else (high, low)
        return " to ".join(map(self.cell, ends))

    def text(self, score: float) -> str:
        """A score for a sentence: "89.09%", "2.31 nats"."""
        if self.is_share:
            return f"{100 * float(self.cell(score)):.2f}%"
        return " ".join([self.cell(score), *([self.unit] if self.unit else [])])

    def number(self, difference: float, sign: str = "") -> str:
        """A difference of scores as a bare number; with sign="+" a gain has a plus."""
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

    def check_targets(self, targets: Iterable[float], key: str) -> None:
        """Raise ValueError for a target that no value of the metric can be; `key` is what they are called."""
        for target in targets:
            if self.is_share and not 0 < target < 1:
                raise ValueError(f"{key} must be above 0 and below 1 for {self.name}, got {target:g}")

    def target(self, value: float | str) -> str:
        """A target for people: 0.985 of a share is 98.5%, and 2 of a loss is 2 nats."""
        return f"{100 * float(value):.4g}%" if self.is_share else f"{float(value):g} {self.unit}".rstrip()

    @property
    def of_validation(self) -> str:
        """What the validation set is judged by: "validation accuracy", "validation MSE"."""
        return f"validation {logged_name(self.label.removeprefix('test '))}"

    def goal(self, value: float | str) -> str:
        """A target in a sentence: "98.5% validation accuracy", "a validation loss of 2 nats"."""
        what = self.of_validation
        return f"{self.target(value)} {what}" if self.is_share else f"a {what} of {self.target(value)}"

    def learned(self, score: float, chance: float, best: float) -> bool:
        """Whether a run has learned anything: its score is at least a twentieth of the way from chance to perfect.

        A network that is stuck predicts one class, which is right for up to 11.35 % of MNIST's test set, more than
        1 / 10. `best` stands in for a perfect score if none is known. Without a chance level every score counts.
        """
        if math.isnan(score) or math.isnan(chance):
            return not math.isnan(score)
        perfect = best if self.perfect is None else self.perfect * self.sign
        return score - chance >= _LEAST * (perfect - chance) and score > chance


def _digits(value: float, digits: int, sign: str = "") -> str:
    """A number with that many significant digits, including trailing zeros, so that columns can be compared."""
    return f"{value:{sign}#.{digits}g}".rstrip(".")


# The metric of initbench's own runs.
ACCURACY = Metric("accuracy", "test accuracy", is_share=True, perfect=1.0)

DEFAULT_MARGIN = 0.5  # points: the smallest difference of a share that matters, unless the user sets another


LARGEST = 1e50  # of all numbers in computations; beyond it a variance overflows


def check_number(value: Any, name: str) -> float | None:
    """A number of any type as a float, or None. Raises ValueError for anything else, and for 1e50 or more."""
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


def metric_named(score: str, higher_is_better: bool, unit: str = "", chance: float | None = None) -> Metric:
    """The metric that a user describes. Raises ValueError for a description that makes no sense."""
    if type(higher_is_better).__name__ not in ("bool", "bool_"):  # NumPy's, too
        raise ValueError(f"higher_is_better must be True or False, got {higher_is_better!r}")
    if not isinstance(unit, str):
        raise ValueError(f"unit must be text, got {unit!r}")
    is_share = unit == "share"
    level = check_number(chance, "chance")
    if is_share and level is not None and not 0 <= level <= 1:
        raise ValueError(f"chance must be a share of 0 to 1, got {level:g}")
    perfect = float(higher_is_better) if is_share else None
    return Metric(score, score, bool(higher_is_better), is_share, "" if is_share else unit, perfect, level)


def logged_metric(score: str, higher_is_better: bool, unit: str = "", chance: float | None = None) -> Metric:
    """The metric that a LightningModule logs as `score`. Raises ValueError as `metric_named` does."""
    return replace(metric_named(score, higher_is_better, unit, chance), name=logged_name(score))


def logged_name(name: str) -> str:
    """What histories call a value that is logged as "val/loss" or "val_loss": the loss of validation."""
    return name.removeprefix("val/").removeprefix("val_")
