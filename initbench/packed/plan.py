"""Which runs of a sweep are trained together: decided here, from their configs, before anything is built.

What only the built models can tell is decided in eligible.py, in the process that trains. Imports neither Hydra nor
torch.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from initbench.packed import files
from initbench.packed.speed import Speed
from initbench.record.plain import PlainConfig
from initbench.record.signature import digest, seeds_apart, shared_source
from initbench.record.store import Store
from initbench.schema.config import Optimizer
from initbench.wording import count

# Their rule is elementwise: a stack of parameters is stepped as each would be.
OPTIMIZERS = tuple(f"torch.optim.{name}" for name in ("SGD", "Adam", "AdamW"))
PRECISIONS = ("32-true", "64-true")
ACCELERATORS = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class Together:
    """Runs that differ in initializer, seeds and learning rate alone, shared out over packs."""

    packs: list[list[Store]]
    why: str

    def __str__(self) -> str:
        sizes = "+".join(str(len(pack)) for pack in self.packs)
        why = f" ({self.why})" if self.why else ""
        return f"{_what(list(chain(*self.packs)))}, in packs of {sizes}{why}"


@dataclass(frozen=True)
class Alone:
    """Runs that are trained one by one, all for the same reason."""

    runs: list[Store]
    why: str

    def __str__(self) -> str:
        return alone_line(self.why, len(self.runs))


@dataclass(frozen=True)
class Unmeasured:
    """Runs that could be trained together, if that were faster, which has to be measured first."""

    runs: list[Store]

    def __str__(self) -> str:
        return f"{_what(self.runs)}, in packs if that is faster, which is measured first"


Decision = Together | Alone | Unmeasured


def plan(
    runs: Sequence[Store], *, slots: int, most: int, known: Callable[[Store], Speed | None] | None = None
) -> list[Decision]:
    """How each of the runs is trained.

    Packs are no larger than `most`, and as many as keep `slots` processes busy. `known` tells how fast packs of runs
    like this one are, None where that has not been measured; without it, whatever can be packed is.
    """
    groups: dict[str, list[Store]] = defaultdict(list)
    alone: dict[str, list[Store]] = defaultdict(list)
    for run in runs:
        reason = obstacle(run)
        (groups[kind_of(run.config)] if reason is None else alone[reason]).append(run)
    decisions = [_decide(group, slots, most, known) for group in groups.values()]
    return decisions + [Alone(some, why) for why, some in alone.items()]


def _decide(runs: list[Store], slots: int, most: int, known: Callable[[Store], Speed | None] | None) -> Decision:
    if known is None:
        speed: Speed | None = Speed(most)
    elif len(runs) <= slots and not files.under_way(runs, most, slots):
        speed = Speed(0, "no more than this machine runs at once")
    else:
        speed = known(runs[0])
    if speed is None:
        return Unmeasured(runs)
    if not speed.replicas:
        return Alone(runs, speed.why)
    most = min(most, speed.replicas)
    begun = files.under_way(runs, most, slots)
    names = {run.folder.name for pack in begun for run in pack}
    return Together(begun + arrange([run for run in runs if run.folder.name not in names], most, slots), speed.why)


def arrange(runs: Sequence[Store], most: int, slots: int) -> list[list[Store]]:
    """Packs of runs of one kind, none larger than `most`, as many as keep `slots` busy, of nearly the same size.

    Runs of one learning rate, and then of one order, are neighbours, so that they share their batches.
    """
    runs = sorted(runs, key=_rate_and_seeds)
    if not runs:
        return []
    count = min(len(runs), math.ceil(len(runs) / most / slots) * slots)
    blocks = [list(block) for _, block in groupby(runs, key=_rate_and_seeds)]
    if len(blocks) % count == 0 and len({len(block) for block in blocks}) == 1:
        each = len(blocks) // count
        return [list(chain(*blocks[first : first + each])) for first in range(0, len(blocks), each)]
    return [runs[first::count] for first in range(count)]  # dealt out, each gets its share of every block


def kind_of(config: PlainConfig) -> str:
    """Equal for runs that differ in initializer, seeds and learning rate alone, so that they can be trained together.

    They also hold out the same samples, as all replicas of a pack are validated on the same batches.
    """
    part = {key: value for key, value in config.items() if key not in ("init", "seed", "seeds", "command", "source")}
    if (split := seeds_apart(config).get("split")) is not None:
        part["split"] = split
    part["source"] = shared_source(config)
    part["optimizer"] = {key: value for key, value in config["optimizer"].items() if key != "lr"}
    return digest(part)


def obstacle(run: Store) -> str | None:
    """Why a run has to be trained by itself, as far as its config says; None where nothing does."""
    config, trainer = run.typed, run.typed.trainer
    if not isinstance(config.optimizer, Optimizer):
        return f"task={config.task.name} trains a module of its own"
    if config.optimizer.target not in OPTIMIZERS:
        return f"optimizer {config.optimizer.name}"
    if config.print_init:
        return "print_init"
    if config.diagnostics.curvature:
        return "diagnostics.curvature needs the optimizer of a single run"
    if trainer.devices != 1:
        return f"trainer.devices={trainer.devices}"
    if trainer.compile:
        return "trainer.compile"
    if trainer.accelerator not in ACCELERATORS:
        return f"trainer.accelerator={trainer.accelerator}"
    if trainer.deterministic == "warn":
        return "trainer.deterministic=warn"
    if trainer.gradient_clip_val == 0:  # to Lightning: no clipping
        return "trainer.gradient_clip_val=0"
    if trainer.precision not in PRECISIONS:
        return f"trainer.precision={trainer.precision}"
    if trainer.added:
        return f"trainer.{min(trainer.added)}"
    if run.checkpoint.exists() and not config.force:
        return "a checkpoint of its own"
    return None


def alone_line(why: str, number: int) -> str:
    words = count(number, "run by itself", "runs by themselves")
    return f"{words}: {why}"


def _what(runs: Sequence[Store]) -> str:
    config = runs[0].typed
    return f"{config.model.name} on {config.data.name}: {count(len(runs), 'run')}"


def _rate_and_seeds(run: Store) -> tuple[float, int, int]:
    return run.config["optimizer"]["lr"], run.typed.drawn_from.order, run.typed.drawn_from.augmentation
