"""The LightningModule: one classifier under one initializer.

Lightning 2.6 has traps for whoever initializes in `on_fit_start`; each is a test:
- A resumed checkpoint's weights are restored *before* the hook, so the checkpoint says `initialized`.
- The optimizer and DistributedDataParallel already hold the parameters, so all writes are in place.
- DDP broadcast the weights before the hook, so every rank must draw the same numbers by itself; what depends on data
  is computed by each from the same batch, and then is rank 0's.
- Callbacks' `on_fit_start` runs first: what looks at the initial weights belongs after this hook.
"""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from initbench.data import ImageDataModule
from initbench.errors import UserMistake
from initbench.init import Batch as InitBatch
from initbench.init import Initializer, rows, weights_digest
from initbench.meter import Meter
from initbench.optimizer import LearningRates

_SAVED = ("initialized", "init_table", "init_numbers", "initial_weights", "seconds_init", "micro_batches")
Batch = tuple[Tensor, Tensor]  # images (N, C, H, W), labels (N,)
Part = tuple[Tensor, Tensor, float]  # of a batch: images, labels, share of the batch's images


class Classifier(L.LightningModule):
    """Trains `model` on cross entropy; evaluation sums stay on the device until someone asks for them."""

    def __init__(
        self,
        model: nn.Module,
        initializer: Initializer,
        optimizer: Callable[[nn.Module, LearningRates], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        *,
        seed: int = 0,
        compile: bool = False,
        channels_last: bool = False,
        micro_batches: int = 1,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        # Before the optimizer and DDP see the parameters: a later move would leave DDP's buckets behind.
        self.model = model.to(memory_format=self.memory_format)
        self.initializer = initializer
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.seed = seed
        self.compile_model = compile
        self.micro_batches = micro_batches  # parts of a batch that are computed one after the other, to save memory
        self._waiting: list[Part] = []  # of the training step under way
        self.initialized = False
        self.init_table: list[dict[str, Any]] = []
        self.init_numbers: dict[str, float] = {}  # what a method says of its cost and success
        self.initial_weights = ""
        self.seconds_init = 0.0
        self.meters = {stage: Meter() for stage in ("train", "val", "test")}
        self._loaded: dict[str, Any] | None = None  # the checkpoint that this run goes on from, until it does

    def on_fit_start(self) -> None:
        """Apply the initializer, once in a run's life."""
        if not self.initialized:
            self.initialize(self.trainer.datamodule, self.trainer.world_size)  # type: ignore[attr-defined]  # Lightning sets it
        if self.compile_model:
            self.model.compile()

    def initialize(self, datamodule: ImageDataModule, world_size: int = 1) -> None:
        """Apply the initializer, and keep what the record says of it. Raises UserMistake where it cannot be applied."""
        started = time.perf_counter()
        batch = None
        if self.initializer.needs_batch:
            images, labels = datamodule.fixed_batch(self.device)
            # Half precision is the initializer's own business: it works on a copy in float32.
            batch = InitBatch(images.double() if self.dtype == torch.float64 else images, labels)
        try:
            outcome = self.initializer.apply(self.model, seed=self.seed, batch=batch)
        except ValueError as error:  # a method that this batch or these weights defeat
            raise UserMistake(str(error)) from error
        if batch is not None and world_size > 1:
            for parameter in self.model.parameters():
                torch.distributed.broadcast(parameter.data, src=0)
        self.seconds_init = time.perf_counter() - started
        self.init_table = rows(outcome)
        self.init_numbers = outcome.numbers
        self.initial_weights = weights_digest(self.model)
        self.initialized = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in _SAVED:
            checkpoint[name] = getattr(self, name)
        checkpoint["sums"] = self.meters["train"].sums
        checkpoint["rng"] = torch.get_rng_state()
        checkpoint["rng_cuda"] = torch.cuda.get_rng_state_all()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in _SAVED:
            setattr(self, name, checkpoint[name])
        self._loaded = checkpoint

    def on_train_start(self) -> None:
        if self._loaded is None:
            # Dropout's stream must not depend on how many numbers the model's constructor happened to draw.
            torch.manual_seed(self.seed)
            return
        sums = self._loaded["sums"]
        self.meters["train"].sums = None if sums is None else sums.to(self.device)
        torch.set_rng_state(self._loaded["rng"])
        torch.cuda.set_rng_state_all(self._loaded["rng_cuda"])
        self._loaded = None

    def forward(self, images: Tensor) -> Tensor:
        # The data module yields float32; under 64-true or bf16-true the weights are of another type.
        logits: Tensor = self.model(images.to(self.dtype, memory_format=self.memory_format))
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss; of a divided batch the share of its first part, to which `backward` adds the others."""
        first, *self._waiting = self._parts(batch)
        return self._share(first, "train")

    def backward(self, loss: Tensor) -> None:
        loss.backward()
        precision = self.trainer.strategy.precision_plugin
        for part in self._waiting:  # one after the other, so that only one part's activations are alive
            with precision.train_step_context():
                loss = self._share(part, "train")
            precision.pre_backward(loss, self).backward()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        for part in self._parts(batch):
            self._share(part, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        for part in self._parts(batch):
            self._share(part, "test")

    def _parts(self, batch: Batch) -> list[Part]:
        images, labels = batch
        if self.micro_batches == 1:
            return [(images, labels, 1.0)]
        pairs = zip(images.chunk(self.micro_batches), labels.chunk(self.micro_batches), strict=True)
        return [(*part, len(part[1]) / len(labels)) for part in pairs]

    def _share(self, part: Part, stage: str) -> Tensor:
        """What these images add to the mean loss of their batch."""
        images, labels, share = part
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        self.meters[stage].update(loss, logits, labels)
        return loss if share == 1 else loss * share

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(
            self.model, lambda adaptive: self.initializer.learning_rates(self.model, adaptive=adaptive)
        )
        schedule = {"scheduler": self.make_scheduler(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}
