"""Thirty layers or blocks for every initializer of conf/init, and what one signal and one gradient do in them."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from initbench.init import Batch, initializer
from initbench.init.table import rows
from initbench.model import GPT, MLP, ViT
from initbench.model.plain_cnn import PlainCNN
from initbench.model.recurrent import lstm, rnn
from initbench.model.resnet_cifar import CifarResNet

DEPTH = 30
WRITTEN = {"relu": "ReLU", "tanh": "tanh"}
LEAST, MOST = 1e-8, 1e8  # smaller and larger numbers are drawn at the edge of the picture


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


@dataclass(frozen=True)
class Measured:
    """What was found in one stack: root mean squares of the outputs and gradients, and the rows of `describe`."""

    stack: Stack
    refusal: str  # why the initializer does not work on it; empty if it does
    signal: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    values: Tensor = field(default_factory=lambda: torch.empty(0))  # of the weight whose distribution is shown


def _seeded(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


def _tokens() -> Tensor:
    return torch.randint(65, (8, 32), generator=torch.Generator().manual_seed(0))


def _mlp(nonlinearity: Any) -> Stack:
    return Stack(
        label=WRITTEN[nonlinearity],
        words=f"an MLP of width 128 with {WRITTEN[nonlinearity]}",
        build=lambda: MLP(in_features=128, out_features=10, depth=DEPTH, width=128, nonlinearity=nonlinearity),
        inputs=partial(_seeded, 128, 128),
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
        inputs=partial(_seeded, 32, 3, 8, 8),
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
        inputs=partial(_seeded, 16, 3, 16, 16),
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
        inputs=partial(_seeded, 16, 3, 16, 16),
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
        inputs=partial(_seeded, 64, 1, DEPTH, DEPTH),
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


def measure(name: str, stack: Stack) -> Measured:
    """Initialize the stack with seed 0, and send one batch forward and one gradient backward."""
    torch.manual_seed(0)
    model, inputs = stack.build(), stack.inputs()
    targets = torch.arange(len(inputs)) % 10
    if not inputs.is_floating_point():  # the next tokens
        targets = inputs.roll(-1, dims=1)
    try:
        with warnings.catch_warnings(action="ignore"):
            chosen = initializer(name, **ARGUMENTS.get(name, {}))
            loss = _of_tokens if targets.ndim > 1 else nn.functional.cross_entropy
            outcome = chosen.apply(model, seed=0, batch=Batch(inputs, targets), loss=loss)
    except ValueError as error:
        return Measured(stack, str(error))
    follow = _through_time if stack.axis == "time step" else _through_depth
    signal, gradient = follow(stack, model, inputs)
    values = model.get_parameter(stack.weight).detach().flatten()
    return Measured(stack, "", signal, gradient, rows(outcome), values)


def _of_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def _through_depth(stack: Stack, model: nn.Module, inputs: Tensor) -> tuple[list[float], list[float]]:
    outputs: list[Tensor] = []
    for name, module in model.named_modules():
        if stack.followed(name):
            module.register_forward_hook(lambda module, given, output: outputs.append(output))
    model(inputs)
    return _sizes(outputs)


def _through_time(stack: Stack, model: nn.Module, inputs: Tensor) -> tuple[list[float], list[float]]:
    """The same for the states of a recurrent network, which torch shows only if each step is a call."""
    recurrent, sequence = model.recurrent, inputs.flatten(1, 2)
    state, states = None, []
    for step in range(sequence.shape[1]):
        _, state = recurrent(sequence[:, step : step + 1], state)
        states.append(state[-1] if isinstance(state, tuple) else state)
    return _sizes(states)


def _sizes(outputs: list[Tensor]) -> tuple[list[float], list[float]]:
    """Root mean squares of the outputs, and of the gradients if N(0, 1) is sent back from the last ones."""
    last = outputs[-1]
    gradients = torch.autograd.grad(last, outputs, _seeded(*last.shape).to(last.dtype), allow_unused=True)
    found = [torch.zeros_like(last) if gradient is None else gradient for gradient in gradients]
    return list(_roots(outputs)), list(_roots(found))


def _roots(tensors: list[Tensor]) -> Iterator[float]:
    for tensor in tensors:
        yield float(tensor.detach().double().square().mean().sqrt())
