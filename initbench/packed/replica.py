"""One run of a pack: its life, what it was built of, and what it has measured."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from initbench import logger
from initbench.record import untold
from initbench.record.damage import discard
from initbench.record.history import History
from initbench.record.life import Life
from initbench.record.plain import Record
from initbench.schema.config import AnyConfig
from initbench.training.build import RunParts
from initbench.training.diagnoses import Diagnoses


@dataclass
class Replica:
    """The clocks of `history` hold its share of the pack's: a pack of R takes each second from R runs alike."""

    life: Life
    parts: RunParts
    epoch: int = 0
    history: History = field(init=False)
    diagnoses: Diagnoses = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.life.store)
        self.diagnoses = Diagnoses(self.parts, self.life.store)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.life.store.folder.name

    @property
    def config(self) -> AnyConfig:
        return self.life.store.typed

    @property
    def batch_seeds(self) -> tuple[int, int]:
        """Equal for replicas that see the same batches: the seeds of order and augmentation."""
        return self.config.drawn_from.order, self.config.drawn_from.augmentation

    def begin(self, saved: dict[str, Any] | None, replicas: int) -> None:
        """Start, or continue from what `state_dict` returned, in a pack of so many."""
        discard(self.life.store.checkpoint)  # of a run by itself, which this one was forced to replace
        if saved is not None:
            self.history.load_state_dict(saved["history"])
            self.diagnoses.load_state_dict(saved["diagnoses"])
            self.epoch = saved["epoch"]
        self.life.begin(
            self.parts.total_steps, self.parts.recipe.task.metric, resumes=saved is not None, replicas=replicas
        )
        self.life.store.write_table("parameters", self.parts.recipe.init_table)

    def state_dict(self) -> dict[str, Any]:
        states = {"history": self.history.state_dict(), "diagnoses": self.diagnoses.state_dict()}
        return {**states, "epoch": self.epoch}

    def end(self, test: dict[str, float], values: Tensor | None) -> Record:
        """Write the record and return it.

        test: loss and metric on the test set; empty if the run diverged. values: what is kept of each of its samples.
        """
        parts = self.parts
        if not logger.is_none(self.life.store.config["logger"]):
            untold.mark(self.life.store.folder)
        return self.life.end(
            self.history,
            {**parts.recipe.fields(), **self.diagnoses.fields()},
            values=None if values is None else values.numpy(),
            test=test,
            metric=parts.recipe.task.metric,
            chance_loss=parts.recipe.task.chance_loss,
            targets=parts.targets,
            seconds_init=parts.recipe.seconds_init,
        )
