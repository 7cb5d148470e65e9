"""What is typed after `python -m initbench.transfer`, and the sweep that it stands for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from initbench.config.own_sweep import first_job, parsed
from initbench.errors import UserMistake, unknown

AXES = {"width": "model.width", "depth": "model.depth", "batch_size": "data.batch_size"}
RATE = "optimizer.lr"
_AROUND = (0.25, 0.5, 1, 2, 4)  # times the learning rate of the optimizer
_SEEDS = "seed=range(10)"
_STUDY = "study=transfer"


@dataclass(frozen=True)
class Asked:
    """key: of the axis in a config. overrides: all others that were typed, without the rates and the study."""

    axis: str
    key: str
    values: tuple[float, ...]  # rising
    rates: tuple[float, ...]  # rising
    study: str
    runs_dir: Path
    dry_run: bool
    overrides: tuple[str, ...]

    def sweep(self, rates: Sequence[float]) -> list[str]:
        """The overrides of the sweep over all values and some rates."""
        return [*self.overrides, self.swept, f"{RATE}={_listed(rates)}", f"study={self.study}"]

    @property
    def swept(self) -> str:
        """The override of the axis."""
        return f"{self.key}={_listed(self.values)}"


def parse(arguments: Sequence[str]) -> Asked:
    """Raises UserMistake for what cannot be asked, and for a config that cannot be run."""
    if options := [argument for argument in arguments if argument.startswith("-")]:
        raise UserMistake(f"transfer takes overrides, name=value, and no {options[0]}")
    typed: dict[str, Override] = {}
    for override in parsed(arguments):
        key = override.get_key_element()
        if key in typed:
            raise UserMistake(f"{key} is given twice: {typed[key].input_line} and {override.input_line}")
        typed[key] = override
    for own, example in (("axis", "width"), ("values", "64,128,256,512")):
        if own not in typed:
            raise UserMistake(f"{own} is missing: type {own}={example}")
    axis = str(typed.pop("axis").value())
    if axis not in AXES:
        raise UserMistake(str(unknown("axis", axis, AXES)))
    key = AXES[axis]
    if key in typed:
        raise UserMistake(f"{key} is what axis={axis} sweeps over: leave it out, or add it to values")
    values = _numbers(typed.pop("values"))
    if len(values) < 2:
        raise UserMistake(f"values={values[0]:g} is one value: a drift needs two or more")
    if any(value != int(value) for value in values):
        raise UserMistake(f"values of a {axis} are whole numbers")
    rates = _numbers(typed.pop(RATE)) if RATE in typed else ()
    study = typed.pop("study", parsed([_STUDY])[0])
    typed.setdefault("seed", parsed([_SEEDS])[0])
    config, master = first_job([*typed.values(), *parsed([f"{key}={values[0]:g}"])])
    swept = {name for name, override in typed.items() if override.is_sweep_override()}
    swept |= {*(master.hydra.sweeper.get("params") or {})} - {*typed}  # of a study's file
    for name in sorted(swept - {"seed", key, RATE}):
        if name.partition(".")[0] != "init":
            raise UserMistake(f"{name} has several values, and transfer is for one workload: choose one of them")
    for name in ("tuning", "until"):
        if config[name] is not None:
            raise UserMistake(f"transfer tries all rates with all seeds: {name} is not for it")
    rates = rates or tuple(factor * _usual_rate(config) for factor in _AROUND)
    if len(rates) < 3:
        raise UserMistake(f"{RATE} has {len(rates)} of the three values or more that a parabola needs")
    lines = tuple(str(override.input_line) for override in typed.values())
    return Asked(axis, key, values, rates, str(study.value()), Path(config["runs_dir"]), config["dry_run"], lines)


def _numbers(override: Override) -> tuple[float, ...]:
    """The numbers of a list, rising."""
    text = override.input_line
    found: Any = list(override.sweep_iterator()) if override.is_sweep_override() else override.value()
    try:
        numbers = sorted({float(number) for number in (found if isinstance(found, list) else [found])})
    except (TypeError, ValueError) as error:
        raise UserMistake(f"{text} must be numbers with commas between them") from error
    if not all(0 < number < math.inf for number in numbers):
        raise UserMistake(f"{text} must be above 0")
    return tuple(numbers)


def _usual_rate(config: dict[str, Any]) -> float:
    """The learning rate of the optimizer."""
    usual = config["optimizer"].get("lr")
    if not isinstance(usual, float | int):
        raise UserMistake(f"{RATE} is missing: type the rates to try, such as {RATE}=0.001,0.002,0.004")
    return float(usual)


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:.12g}" for number in numbers)
