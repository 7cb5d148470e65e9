"""The LightningModule: one model under one initializer.

Lightning 2.6 has traps for whoever initializes in `on_fit_start`; each is a test:
- A resumed checkpoint's weights are restored *before* the hook, so the checkpoint says `initialized`.
- The optimizer and DistributedDataParallel already hold the parameters, so all writes are in place.
- DDP broadcast the weights before the hook, so every rank must draw the same numbers by itself; what depends on data
  is computed by each from the same batch, and then is rank 0's.
- Callbacks' `on_fit_start` runs first: what looks at the initial weights belongs after this hook.
"""

import inspect
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from torch import Tensor

from initbench.training.meter import Meter
from initbench.training.recipe import Recipe

_SAVED = ("initialized", "init_table", "init_numbers", "initial_weights", "seconds_init", "micro_batches")
Batch = tuple[Tensor, Tensor]  # inputs and targets (N, ...)
Part = tuple[Tensor, Tensor, float]  # of a batch: inputs, targets, share of the batch's samples


class TaskModule(L.LightningModule):
    """Trains a recipe's model on its task; evaluation sums stay on the device until someone asks for them.

    keeps_outputs: whether the test meter keeps the model's outputs.
    """

    def __init__(self, recipe: Recipe, *, keeps_outputs: bool = False) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = recipe.model
        self.memory_format = recipe.memory_format
        self._waiting: list[Part] = []  # of the training step under way
        self.meters = {stage: Meter(recipe.task) for stage in ("train", "val")}
        self.meters["test"] = Meter(recipe.task, keeps_values=True, keeps_outputs=keeps_outputs)
        self._loaded: dict[str, Any] | None = None  # the checkpoint that this run goes on from, until it does

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the hook that it is in 40 times a step, and torch asks each time whether that is a parameter:
        # 37 microseconds a step instead of 6.
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def on_fit_start(self) -> None:
        """Apply the initializer, once in a run's life."""
        if not self.recipe.initialized:
            self.recipe.initialize(self.trainer.datamodule.data, self.trainer.world_size)  # type: ignore[attr-defined]  # Lightning sets it
        if self.recipe.compile:
            self.model.compile()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in _SAVED:
            checkpoint[name] = getattr(self.recipe, name)
        checkpoint["sums"] = self.meters["train"].sums
        checkpoint["rng"] = torch.get_rng_state()
        checkpoint["rng_cuda"] = torch.cuda.get_rng_state_all()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in _SAVED:
            setattr(self.recipe, name, checkpoint[name])
        self._loaded = checkpoint

    def on_train_start(self) -> None:
        if self._loaded is None:
            # Dropout's stream must not depend on how many numbers the model's constructor happened to draw.
            torch.manual_seed(self.recipe.dropout_seed)
            return
        sums = self._loaded["sums"]
        self.meters["train"].sums = None if sums is None else sums.to(self.device)
        torch.set_rng_state(self._loaded["rng"])
        torch.cuda.set_rng_state_all(self._loaded["rng_cuda"])
        self._loaded = None

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.is_floating_point():  # tokens are not
            # The data module yields float32; under 64-true or bf16-true the weights are of another type.
            inputs = inputs.to(self.dtype, memory_format=self.memory_format if inputs.dim() == 4 else None)
        outputs: Tensor = self.model(inputs)
        return outputs

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
        inputs, targets = self.recipe.task.batch(*batch)
        if self.recipe.micro_batches == 1:
            return [(inputs, targets, 1.0)]
        pairs = zip(inputs.chunk(self.recipe.micro_batches), targets.chunk(self.recipe.micro_batches), strict=True)
        return [(*part, len(part[1]) / len(targets)) for part in pairs]

    def _share(self, part: Part, stage: str) -> Tensor:
        """What these samples add to the mean loss of their batch."""
        inputs, targets, share = part
        outputs = self(inputs)
        loss = self.recipe.task.loss(outputs, targets, training=stage == "train")
        self.meters[stage].update(loss, outputs, targets)
        return loss if share == 1 else loss * share

    def configure_optimizers(self) -> Any:
        optimizer = self.recipe.make_optimizer()
        schedule = {"scheduler": self.recipe.make_scheduler(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


# Lightning asks at every step which arguments this has. Where the answer is stored, it need not be found out again.
TaskModule.training_step.__signature__ = inspect.signature(TaskModule.training_step)  # type: ignore[attr-defined]
