"""What one signal and one gradient do in the thirty layers of an initialized model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from initializer_stacks import ARGUMENTS, Stack, seeded
from torch import Tensor, nn

from initbench.init import Batch, initializer
from initbench.init.table import rows

LEAST, MOST = 1e-8, 1e8  # smaller and larger numbers are drawn at the edge of the picture


@dataclass(frozen=True)
class Measured:
    """What was found in one stack: root mean squares of the outputs and gradients, and the rows of `describe`."""

    stack: Stack
    refusal: str  # why the initializer does not work on it; empty if it does
    signal: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    values: Tensor = field(default_factory=lambda: torch.empty(0))  # of the weight whose distribution is shown


def measure(name: str, stack: Stack) -> Measured:
    """Initialize the stack with seed 0, and send one batch forward and one gradient backward."""
    torch.manual_seed(0)
    model, inputs = stack.build(), stack.inputs()
    targets = torch.arange(len(inputs)) % 10
    if not inputs.is_floating_point():  # the next tokens
        targets = inputs.roll(-1, dims=1)
    try:
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
    gradients = torch.autograd.grad(last, outputs, seeded(*last.shape).to(last.dtype), allow_unused=True)
    found = [torch.zeros_like(last) if gradient is None else gradient for gradient in gradients]
    return list(_roots(outputs)), list(_roots(found))


def _roots(tensors: list[Tensor]) -> Iterator[float]:
    for tensor in tensors:
        yield float(tensor.detach().double().square().mean().sqrt())
