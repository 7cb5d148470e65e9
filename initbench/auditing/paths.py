"""Parameters that no gradient reaches: unused ones, and those behind two zeros in series."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Generator, Tensor, nn

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.init.method import working_copy
from initbench.init.structure.example import examples, like
from initbench.schema.target import line

_STEPS = 3  # a zero at the end of a branch holds gradients back for one step, and one more for each zero behind it
_RATE = 1e-3


def unreached(subject: Subject) -> Iterator[Finding]:
    """What the outputs do not depend on, now and after a few steps that move all that they do depend on."""
    device = next(subject.model.parameters()).device
    # Batch norm over a batch of two passes next to no gradient, and is the identity in evaluation mode.
    copy = working_copy(subject.model, device, "an audit").eval()
    if (inputs := _accepted(copy, subject)) is None:
        return
    try:
        unused, still = _moved(copy, inputs)
    except Exception as error:  # a model of the user's own may raise anything
        reason = f"its gradient cannot be computed: {line(error)}"
        yield Finding("note", "not run", "", reason, "look for a change in place, or a graph that is cut")
        return
    for name in [*unused, *still]:
        yield Finding(
            "note" if name in unused else "warning",
            "unused" if name in unused else "no gradient reaches it",
            name,
            "the outputs do not depend on it"
            if name in unused
            else f"its gradient is 0, and still after {_STEPS} steps of all others: is it zero next to another zero?",
            "remove it, if no other part of your training uses it" if name in unused else "draw one of the two",
        )


def not_run(subject: Subject) -> Iterator[Finding]:
    """A model for which no inputs are known, so that what needs a run cannot be told."""
    if subject.parts.trace is None:
        reason = f"it cannot be run {subject.parts.obstacle}, so that signal, gradients and depth are not looked at"
        yield Finding("note", "not run", "", reason, "give a batch")


def _accepted(model: nn.Module, subject: Subject) -> tuple[Tensor | None, ...] | None:
    """The first inputs that the model can be run on."""
    given = [] if subject.inputs is None else [like(subject.inputs, model)]
    for inputs in chain(given, examples(model)):
        try:
            with torch.no_grad():
                model(*inputs)
        except Exception:  # a model of the user's own may raise anything
            continue
        return inputs
    return None


def _moved(model: nn.Module, inputs: tuple[Tensor | None, ...]) -> tuple[list[str], list[str]]:
    """The names of parameters that have no gradient, and of those whose gradient stays 0."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    left, unused = set(parameters), set(parameters)
    for _ in range(_STEPS):
        outputs = [output for output in _tensors(model(*inputs)) if output.requires_grad]
        if not outputs:
            return [], []
        # A random direction, as the sum of the outputs of a softmax or of a norm has no gradient.
        value = sum((output.float() * _direction(output)).sum() for output in outputs)
        gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)  # type: ignore[arg-type]  # a tensor
        with torch.no_grad():
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
                if gradient is not None:
                    unused.discard(name)
                    if gradient.any():
                        left.discard(name)
                        parameter.sub_(gradient.sign(), alpha=_RATE)
        if not left:
            break
    return [name for name in parameters if name in unused], [name for name in parameters if name in left - unused]


def _direction(output: Tensor) -> Tensor:
    return torch.randn(output.shape, generator=Generator().manual_seed(0)).to(output.device)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """All real tensors in what a model returns, however it is nested."""
    if isinstance(outputs, Tensor):
        yield from [outputs] if outputs.is_floating_point() else []
    elif isinstance(outputs, dict):
        yield from chain.from_iterable(map(_tensors, outputs.values()))
    elif isinstance(outputs, tuple | list):
        yield from chain.from_iterable(map(_tensors, outputs))
