"""The Lightning data module around our data."""

from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor

from initbench.data.base import Data
from initbench.data.batches import Batch, Loader


class DataModule(LightningDataModule):
    """Batches of `data` for the processes of a Trainer, prepared on the device."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.data = data

    def train_dataloader(self) -> Loader:
        return self._loader("train")

    def val_dataloader(self) -> Loader:
        return self._loader("val")

    def test_dataloader(self) -> Loader:
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        inputs, targets = batch
        return self._prepare(inputs), targets

    def _prepare(self, inputs: Tensor) -> Tensor:
        assert self.trainer is not None  # a Lightning hook: there is one
        if not self.trainer.training:
            return self.data.prepare(inputs)
        return self.data.prepare(inputs, step=self.trainer.global_step, rank=self.trainer.global_rank)

    def _loader(self, stage: str) -> Loader:
        trainer: Any = self.trainer
        return self.data.loader(stage, trainer.strategy.root_device, rank=trainer.global_rank, world=trainer.world_size)
