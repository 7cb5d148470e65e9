"""The models on which every initializer of conf/init is shown: thirty layers or blocks in a row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from initbench.model import GPT, MLP, ViT
from initbench.model.plain_cnn import PlainCNN
from initbench.model.recurrent import lstm, rnn
from initbench.model.resnet_cifar import CifarResNet

DEPTH = 30
WRITTEN = {"relu": "ReLU", "tanh": "tanh"}


@dataclass(frozen=True)
class Stack:
    """A model with thirty layers or blocks in a row, and inputs for it."""

    label: str  # in the legend
    words: str  # in a sentence
    build: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    followed: Callable[[str], bool]  # whether the outputs of the module of this name are shown
    weight: str  # the weight whose distribution is shown
    axis: str  # what is counted from 1 to 30
    command: str  # what chooses such a model on the command line


def seeded(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


def _tokens() -> Tensor:
    return torch.randint(65, (8, 32), generator=torch.Generator().manual_seed(0))


def _mlp(nonlinearity: Any) -> Stack:
    return Stack(
        label=WRITTEN[nonlinearity],
        words=f"an MLP of width 128 with {WRITTEN[nonlinearity]}",
        build=lambda: MLP(in_features=128, out_features=10, depth=DEPTH, width=128, nonlinearity=nonlinearity),
        inputs=partial(seeded, 128, 128),
        followed=lambda name: name.startswith("linear"),
        weight="linear15.weight",
        axis="layer",
        command="model=mlp model.depth=30 model.width=128"
        + ("" if nonlinearity == "relu" else f" model.nonlinearity={nonlinearity}"),
    )


def _cnn(nonlinearity: Any, norm: Any = "none") -> Stack:
    size: dict[str, Any] = {"in_channels": 3, "image_size": 8, "num_classes": 10, "depth": DEPTH, "width": 32}
    return Stack(
        label=WRITTEN[nonlinearity],
        words=f"a convolutional network of 32 channels with {WRITTEN[nonlinearity]}"
        + (" and batch norm" if norm == "batch" else ""),
        build=lambda: PlainCNN(**size, stages=1, nonlinearity=nonlinearity, norm=norm, padding_mode="circular"),
        inputs=partial(seeded, 32, 3, 8, 8),
        followed=lambda name: name.startswith("conv"),
        weight="conv15.weight",
        axis="convolution",
        command="model=plain_cnn model.depth=30 model.stages=1 model.padding_mode=circular"
        + ("" if nonlinearity == "relu" else f" model.nonlinearity={nonlinearity}")
        + ("" if norm == "none" else f" model.norm={norm}"),
    )


def _gpt(weight: str = "blocks.block15.mlp.linear2.weight", **settings: Any) -> Stack:
    size = {"vocab_size": 65, "context_length": 32, "depth": DEPTH, "width": 64, "heads": 2}
    return Stack(
        label="residual stream",
        words="a GPT of 30 blocks and width 64, whose head has its own weight",
        build=lambda: GPT(**size, tied=False, **settings),
        inputs=_tokens,
        followed=lambda name: name.startswith("blocks.block") and name.count(".") == 1,
        weight=weight,
        axis="block",
        command="task=language_model model.depth=30 model.heads=2 model.tied=false"
        + "".join(f" model.{key}={str(value).lower()}" for key, value in settings.items()),
    )


def _vit(norm: Any = "pre", gate: bool = False) -> Stack:
    size: dict[str, Any] = {"in_channels": 3, "image_size": 16, "num_classes": 10, "patch_size": 4}
    norms = {"pre": "norms before its branches", "post": "norms after its sums", "none": "no norms"}
    return Stack(
        label="residual stream",
        words=f"a vision transformer of 30 blocks and width 64 with {norms[norm]}"
        + (" and a gate at each branch" if gate else ""),
        build=lambda: ViT(**size, width=64, depth=DEPTH, num_heads=4, mlp_ratio=2, norm=norm, gate=gate),
        inputs=partial(seeded, 16, 3, 16, 16),
        followed=lambda name: name.startswith("blocks.") and name.count(".") == 1,
        weight="blocks.14.mlp.branch.linear2.weight",
        axis="block",
        command="model=vit model.depth=30"
        + ("" if norm == "pre" else f" model.norm={norm}")
        + (" model.gate=true" if gate else ""),
    )


def _resnet(norm: Any, gate: bool = False) -> Stack:
    size = {"in_channels": 3, "image_size": 16, "num_classes": 10, "depth": 2 * DEPTH + 2, "width": 8}
    norms = {"batch": "batch norm", "fixup": "Fixup's scalar biases and gates", "none": "no norms"}
    return Stack(
        label="residual stream",
        words=f"a CIFAR ResNet of 30 blocks with {norms[norm]}" + (" and a gate at each branch" if gate else ""),
        build=lambda: CifarResNet(**size, norm=norm, gate=gate),
        inputs=partial(seeded, 16, 3, 16, 16),
        followed=lambda name: name.startswith("stage") and name.count(".") == 1,
        weight="stage2.5.branch.conv1.weight",
        axis="block",
        command="model=resnet56 model.depth=62"
        + ("" if norm == "batch" else f" model.norm={norm}")
        + (" model.gate=true" if gate else ""),
    )


class Sine(nn.Module):
    """sin(30 x), as in SIREN."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * x)


def _siren() -> nn.Module:
    model = MLP(in_features=2, out_features=1, depth=DEPTH, width=128)
    for number in range(1, DEPTH + 1):
        model.set_submodule(f"activation{number}", Sine())
    return model


SIREN = Stack(
    label="sine",
    words="an MLP of width 128 whose activation is sin(30 x), on points of a square",
    build=_siren,
    inputs=lambda: torch.rand(512, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    followed=lambda name: name.startswith("activation"),
    weight="linear15.weight",
    axis="layer",
    command="task=regression",
)


def _recurrent(kind: str, **settings: Any) -> Stack:
    size = {"in_channels": 1, "image_size": DEPTH, "num_classes": 10, "hidden_size": 128}
    cell = "cell" if kind == "lstm" else "hidden"
    activation = f" with {WRITTEN[settings['nonlinearity']]}" if settings else ""
    return Stack(
        label=f"{cell} state",
        words=f"{'an LSTM' if kind == 'lstm' else 'a simple recurrent network'}{activation} and 128 hidden units, "
        "which reads 30 rows",
        build=lambda: lstm(**size) if kind == "lstm" else rnn(**size, **settings),
        inputs=partial(seeded, 64, 1, DEPTH, DEPTH),
        followed=lambda name: name == "recurrent",
        weight="recurrent.weight_hh_l0",
        axis="time step",
        command=f"model={kind}" + "".join(f" model.{key}={value}" for key, value in settings.items()),
    )


MLPS = (
    _mlp("relu"),
    _mlp("tanh"),
)
CNNS = (
    _cnn("relu"),
    _cnn("tanh"),
)
RECIPES = (
    "transformer", "gpt2", "megatron", "llama_depth", "llama_depth_fixed", "mitchell", "small_init", "wang", "nanochat",
    "bert",
)  # fmt: skip  # several values to a line
STACKS: dict[str, tuple[Stack, ...]] = {
    **dict.fromkeys(RECIPES, (_gpt(),)),
    "between": (_gpt("head.weight"),),
    "complete_p": (_gpt(branch_multiplier=True),),
    "irnn": (_recurrent("rnn", nonlinearity="relu"),),
    **dict.fromkeys(("chrono", "lstm"), (_recurrent("lstm"),)),
    **dict.fromkeys(("deepnorm", "admin", "admin_torch"), (_vit("post"),)),
    "t_fixup": (_vit("none"),),
    **dict.fromkeys(("mimetic", "sub_ln", "vit", "vit_jax"), (_vit(),)),
    **dict.fromkeys(("rezero", "convnext"), (_vit(gate=True),)),
    "siren": (SIREN,),
    "fixup": (_resnet("fixup"),),
    "skipinit": (_resnet("none", gate=True),),
    **dict.fromkeys(("zero_gamma", "zero_hadamard"), (_resnet("batch"),)),
    "dcgan": (_cnn("relu", "batch"),),
    **dict.fromkeys(("delta_orthogonal", "orthogonal_conv", "dirac", "patch_whitening", "efficientnet"), CNNS),
}
# Arguments without which they do nothing, or cannot work; the others are shown with their defaults.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "between": {"a": "gpt2", "b": "nanochat", "parts": ["qkv", "head"], "from_b": ["head"]},
}
# Their weights are those of a file of the user's own.
WITHOUT_PICTURES = ("state_dict", "weight_selection")


def stacks_of(name: str) -> tuple[Stack, ...]:
    """The models on which the initializer is shown."""
    return STACKS.get(name, MLPS)
