"""LightningModules that know nothing of initbench, as a user's package has them, with their data."""

from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.utils.data import DataLoader, TensorDataset


class Regressor(L.LightningModule):
    def __init__(self, width: int = 8, lr: float = 0.05, dropout: float = 0.0, name: str = "") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.net(x)
        return output

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = F.mse_loss(self(batch[0]), batch[1])
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", F.mse_loss(self(batch[0]), batch[1]), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams["lr"], momentum=0.9)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)}


class Waves(L.LightningDataModule):
    """Numbers, shuffled and augmented by the global generators of torch and NumPy."""

    def __init__(self, size: int = 60, batch_size: int = 10, workers: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(size, 3, generator=generator)
        self.dataset = TensorDataset(x, (x[:, :1] * x[:, 1:2]).sin())
        self.batch_size, self.workers = batch_size, workers

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, self.batch_size, shuffle=True, collate_fn=_jittered, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, 30)


def _jittered(samples: list[Any]) -> list[Tensor]:
    x, y = (torch.stack(parts) for parts in zip(*samples, strict=True))
    return [x + 0.01 * float(np.random.standard_normal()), y]  # noqa: NPY002 - as many users do


class Plateau(Regressor):
    """Its rate follows the validation loss."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss"}}


class ByHand(Regressor):
    """Two optimizers, which it steps by itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]  # Lightning takes nothing
        loss = F.mse_loss(self(batch[0]), batch[1])
        for optimizer in self.optimizers():  # type: ignore[union-attr]  # there are two
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():  # type: ignore[union-attr]  # there are two
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.net[0].parameters(), lr=0.05), torch.optim.Adam(self.net[3].parameters(), lr=0.01)


class TwoOptimizers(ByHand):
    """Automatic optimization, which takes one."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = True


class NoOptimizer(L.LightningModule):
    training_step = Regressor.training_step
    validation_step = Regressor.validation_step


class NoValidation(L.LightningModule):
    training_step = Regressor.training_step
    configure_optimizers = Regressor.configure_optimizers


class TrainingOnly(L.LightningDataModule):
    train_dataloader = Waves.train_dataloader


class Composed(Regressor):
    """Its network and its optimizer come from the config."""

    def __init__(self, net: nn.Module, optimizer: Any) -> None:
        super(Regressor, self).__init__()
        self.net = net  # type: ignore[assignment]  # any network
        self.make_optimizer = optimizer

    def configure_optimizers(self) -> Any:
        return self.make_optimizer(self.parameters())


def raises() -> L.LightningModule:
    raise KeyError("no such thing")
