"""LightningModules as their authors wrote them, and short fits."""

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.utils.data import DataLoader, TensorDataset


class Regressor(L.LightningModule):
    """As its author wrote it."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, 1)
        self.first: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.net(x))
        return output

    def on_train_start(self) -> None:
        self.first = copy.deepcopy(self.state_dict())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch.values() if isinstance(batch, dict) else batch
        return F.mse_loss(self(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(40, 3, generator=generator), torch.randn(40, 1, generator=generator))


def loader(**keys: Any) -> DataLoader[Any]:
    return DataLoader(dataset(), **{"batch_size": 10, "shuffle": True, **keys})


def trainer(tmp_path: Path, *callbacks: L.Callback, **keys: Any) -> L.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    short = {"max_epochs": 1, "accelerator": "cpu", "default_root_dir": tmp_path, "enable_checkpointing": False}
    return L.Trainer(callbacks=list(callbacks), log_every_n_steps=1, **{**quiet, **short, **keys})
