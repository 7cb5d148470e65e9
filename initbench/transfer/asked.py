"""What is typed after `python -m initbench.transfer`, and the sweep that it stands for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import OmegaConf

from initbench.errors import UserMistake, unknown
from initbench.registry import CONF

AXES = {"width": "model.width", "depth": "model.depth", "batch_size": "data.batch_size"}
_RATE, _SEED, _STUDY = "optimizer.lr", "seed", "study"
_AROUND = (0.25, 0.5, 1, 2, 4)  # times the learning rate of the optimizer's file
SEEDS = "range(10)"


@dataclass(frozen=True)
class Asked:
    """key: of the axis in a config. overrides: all others that were typed, without rates and study."""

    axis: str
    key: str
    values: tuple[float, ...]  # rising
    rates: tuple[float, ...]  # rising
    study: str
    overrides: tuple[str, ...]

    def sweep(self, rates: Sequence[float]) -> list[str]:
        """The overrides of the sweep over all values and some rates."""
        values = ",".join(f"{value:.12g}" for value in self.values)
        listed = ",".join(f"{rate:.12g}" for rate in rates)
        return [*self.overrides, f"{self.key}={values}", f"{_RATE}={listed}", f"{_STUDY}={self.study}"]


def parse(arguments: Sequence[str]) -> Asked:
    """Raises UserMistake for an axis or values that cannot be asked for."""
    typed: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise UserMistake(f"{argument!r} is no override: type name=value, such as axis=width")
        if key in typed:
            raise UserMistake(f"{key} is given twice: {typed[key]} and {value}")
        typed[key] = value
    for own, example in (("axis", "width"), ("values", "64,128,256,512")):
        if own not in typed:
            raise UserMistake(f"{own} is missing: type {own}={example}")
    axis = typed.pop("axis")
    if axis not in AXES:
        raise UserMistake(str(unknown("axis", axis, AXES)))
    values = _numbers("values", typed.pop("values"))
    if AXES[axis] in typed:
        raise UserMistake(f"{AXES[axis]} is what axis={axis} sweeps over: leave it out, or add it to values")
    if len(values) < 2:
        raise UserMistake(f"values={values[0]:g} is one value: a drift needs two or more")
    if any(value != int(value) for value in values):
        raise UserMistake(f"values of a {axis} are whole numbers")
    rates = _numbers(_RATE, typed.pop(_RATE)) if _RATE in typed else _usual_rates(typed.get("optimizer", "adam"))
    if len(rates) < 3:
        raise UserMistake(f"{_RATE} has {len(rates)} of the three values or more that a parabola needs")
    study = typed.pop(_STUDY, "transfer")
    typed.setdefault(_SEED, SEEDS)
    return Asked(axis, AXES[axis], values, rates, study, tuple(f"{key}={value}" for key, value in typed.items()))


def _numbers(key: str, text: str) -> tuple[float, ...]:
    """The numbers of a list, rising."""
    try:
        numbers = sorted({float(part) for part in text.strip("[]").split(",")})
    except ValueError as error:
        raise UserMistake(f"{key}={text} must be numbers with commas between them") from error
    if not all(0 < number < math.inf for number in numbers):
        raise UserMistake(f"{key}={text} must be above 0")
    return tuple(numbers)


def _usual_rates(optimizer: str) -> tuple[float, ...]:
    """Rates around that of an optimizer's file."""
    file = CONF / "optimizer" / f"{optimizer}.yaml"
    if not file.is_file():
        raise UserMistake(str(unknown("optimizer", optimizer, [path.stem for path in file.parent.glob("*.yaml")])))
    usual = OmegaConf.select(OmegaConf.load(file), "lr")
    if not isinstance(usual, float):
        raise UserMistake(f"{_RATE} is missing: type the rates to try, such as {_RATE}=0.001,0.002,0.004")
    return tuple(usual * factor for factor in _AROUND)
