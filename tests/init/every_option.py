"""A small model for every initializer: one that it works on, with fixed weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from initbench.init import initialize, options
from initbench.model import GPT, ViT


class Residual(nn.Module):
    """A residual branch that ends with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.branch(inputs)


class Recurrent(nn.Module):
    """The rows of an image one after the other; the state before the first has the default dtype and device."""

    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cell, self.last = cell(24, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.cell(images.flatten(2))[0][:, -1])


class Multiplied(nn.Module):
    """Residual branches times a constant, between an input and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(108, 12), nn.Linear(12, 5)
        self.branches = nn.ModuleList(nn.Sequential(nn.LayerNorm(12), nn.Linear(12, 12), nn.GELU()) for _ in range(3))
        self.register_buffer("multiplier", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images.flatten(1))
        for branch in self.branches:
            x = x + self.multiplier * branch(x)
        return self.last(x)


def convolutional() -> nn.Sequential:
    body = (nn.Conv2d(3, 8, 3), nn.ReLU(), Residual(), nn.Dropout(0.5), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(128, 5))


def plain() -> nn.Sequential:
    body = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(*body, nn.Dropout(0.5), nn.Flatten(), nn.Linear(128, 5))


def normed() -> nn.Sequential:
    model = convolutional()
    parametrizations.weight_norm(model[2].branch[0])
    parametrizations.spectral_norm(model[5])
    return model


def vit(**settings: Any) -> nn.Module:
    return ViT(
        in_channels=3,
        image_size=6,
        num_classes=5,
        patch_size=2,
        width=16,
        depth=1,
        num_heads=2,
        mlp_ratio=2,
        **settings,
    )


class Tokens(nn.Module):
    """A language model that reads whether each of the first pixels is above zero, and classifies the last one."""

    def __init__(self) -> None:
        super().__init__()
        size = {"vocab_size": 5, "context_length": 8, "depth": 1, "width": 16, "heads": 2}
        self.gpt = GPT(**size, tied=False, bias=True, dropout=0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.gpt((images.flatten(1)[:, :8] > 0).long())[:, -1]


RECIPES = [
    "transformer",
    "gpt2",
    "megatron",
    "llama_depth",
    "llama_depth_fixed",
    "mitchell",
    "small_init",
    "wang",
    "nanochat",
]
MODELS: dict[str, Callable[[], nn.Module]] = {
    **dict.fromkeys(RECIPES, Tokens),
    "irnn": partial(Recurrent, nn.RNN),
    **dict.fromkeys(["chrono", "lstm"], partial(Recurrent, nn.LSTM)),
    "complete_p": Multiplied,
    **dict.fromkeys(["deepnorm", "admin", "admin_torch"], partial(vit, norm="post")),
    **dict.fromkeys(["fixup", "t_fixup"], partial(vit, norm="none")),
    **dict.fromkeys(["mimetic", "sub_ln", "vit", "vit_jax"], vit),
    **dict.fromkeys(["rezero", "skipinit", "convnext"], partial(vit, gate=True)),
    "looks_linear": plain,
    "tanh_fixed_point": lambda: nn.Sequential(nn.Flatten(), nn.Linear(108, 8), nn.Tanh(), nn.Linear(8, 5)),
    **dict.fromkeys(["delta_orthogonal", "orthogonal_conv"], lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())),
}
FEW_STEPS = {"gradinit": {"steps": 2}, "metainit": {"steps": 2}}
# They need a file, or other initializers: see methods/test_state_dict.py, test_weight_selection.py and test_between.py.
INCOMPLETE = ("state_dict", "weight_selection", "between")
NAMES = [name for name in options() if name not in INCOMPLETE]
METHODS = ["metainit", "gradinit", "kraehenbuehl", "lsuv", "weight_norm_data", "patch_whitening", "class_prior"]

IMAGES = torch.randn(16, 3, 6, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(16) % 5


def model_for(name: str) -> nn.Module:
    """A model with fixed weights, buffers included, that the initializer works on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS.get(name, convolutional)()


def apply(model: nn.Module, name: str, **arguments: Any) -> nn.Module:
    return initialize(model, name, batch=(IMAGES, TARGETS), **FEW_STEPS.get(name, {}), **arguments)


def same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


def with_weight(weight: Tensor) -> nn.Sequential:
    """A model whose second layer has this weight; the first is an ordinary one, which a refusal must leave alone."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = nn.Parameter(weight, requires_grad=weight.is_floating_point())
    return model
