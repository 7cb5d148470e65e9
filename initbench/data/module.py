"""The Lightning data module around our images."""

from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor

from initbench.data.batches import Batch, Loader
from initbench.data.images import ImageData


class ImageDataModule(LightningDataModule):
    """Batches of `data` for the processes of a Trainer, normalised and augmented on the device."""

    def __init__(self, data: ImageData) -> None:
        super().__init__()
        self.data = data

    def train_dataloader(self) -> Loader:
        return self._loader("train")

    def val_dataloader(self) -> Loader:
        return self._loader("val")

    def test_dataloader(self) -> Loader:
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        images, labels = batch
        return self._prepare(images), labels

    def _prepare(self, images: Tensor) -> Tensor:
        assert self.trainer is not None  # a Lightning hook: there is one
        if not self.trainer.training:
            return self.data.prepare(images)
        return self.data.prepare(images, step=self.trainer.global_step, rank=self.trainer.global_rank)

    def _loader(self, stage: str) -> Loader:
        trainer: Any = self.trainer
        return self.data.loader(stage, trainer.strategy.root_device, rank=trainer.global_rank, world=trainer.world_size)
