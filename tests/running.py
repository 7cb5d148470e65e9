"""Models of all kinds and what their layers put out: for the tests of initializers that look at data."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.model import CifarResNet
from initbench.model.libraries import timm_model
from initbench.model.recurrent import lstm


class Residual(nn.Module):
    """A residual block of two linear layers, without norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class ReZero(nn.Module):
    """A residual block of width 8 with a gate that is zero (Bachlechner et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.resweight = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.resweight * self.f(x)


class Loop(nn.Module):
    """A recurrent network as a loop: 8 features in, 4 out."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.hidden = nn.Linear(8, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            state = torch.tanh(self.into(step) + self.hidden(state))
        return state


class Shared(nn.Module):
    """One linear layer, run three times on different inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)  # registered first, run last
        self.step = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)[:, :12]
        for _ in range(3):
            x = torch.relu(self.step(x)) + x
        return self.last(x)


class Tied(nn.Module):
    """Two linear layers with one weight and a bias each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(5 * torch.relu(self.first(x.flatten(1)[:, :12])))


class Attentive(nn.Module):
    """Torch's own transformer layer, over the rows of the first channel."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(32, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.embed(x[:, 0])).mean(1)


def weight_normed() -> nn.Sequential:
    return nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3)),
        nn.ReLU(),
        nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(6, 4, 3), dim=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.utils.parametrizations.weight_norm(nn.Linear(4096, 5), dim=None),
    )


def convolutional() -> nn.Sequential:
    """Plain, grouped, depthwise and transposed convolutions, with and without bias and norms."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.ConvTranspose2d(8, 12, 3, stride=2, groups=2),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 5),
    )


SHAPE: dict[str, Any] = {"in_channels": 3, "image_size": 32, "num_classes": 10}

MODELS: dict[str, Callable[[], nn.Module]] = {
    "convolutional": convolutional,
    "resnet20": lambda: CifarResNet(**SHAPE, depth=20, width=4),
    "vit": lambda: timm_model(
        **SHAPE, architecture="vit_tiny_patch16_224", patch_size=8, depth=2, embed_dim=24, num_heads=2
    ),
    "lstm": lambda: lstm(**SHAPE, hidden_size=12, num_layers=2),
    "attention": Attentive,
    "shared": Shared,
    "tied": Tied,
    "weight_norm": weight_normed,
}


def images(count: int = 16, seed: int = 7) -> Tensor:
    """(count, 3, 32, 32), neither of mean 0 nor of variance 1, neighbours correlated."""
    noise = torch.randn(count, 3, 34, 34, generator=torch.Generator().manual_seed(seed))
    return 0.3 + 2 * torch.nn.functional.avg_pool2d(noise, 3, stride=1)


def first_outputs(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """The output of each linear and convolutional layer at its first run, in the order of running.

    In training mode without dropout, and on the model itself: its norms' statistics move.
    """
    outputs: dict[str, Tensor] = {}
    names = {module: name for name, module in model.named_modules()}

    def record(module: nn.Module, args: Any, output: Tensor) -> None:
        outputs.setdefault(names[module], output)

    model.train()
    handles = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
        if isinstance(module, nn.Linear | _ConvNd):
            handles.append(module.register_forward_hook(record))
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    return outputs


def units_first(output: Tensor, module: nn.Module) -> Tensor:
    """(units, everything else)"""
    unit_dim = 1 if isinstance(module, _ConvNd) else -1
    return output.movedim(unit_dim, 0).flatten(1)


class Learned(nn.Module):
    """A parameter that belongs to no layer."""

    def __init__(self, use: Any, *shape: int) -> None:
        super().__init__()
        self.use = use
        self.own, self.factor = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.ones(2))
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.use(self, x)
