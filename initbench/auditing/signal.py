"""What one batch shows of a model at its first step: the loss, the signal, the gradients, dead units."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.diagnostics.diagnose import diagnose
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.moments import second_moment
from initbench.diagnostics.probe import Reading
from initbench.init.method import working_copy
from initbench.schema.target import line

_WORSE = 0.5  # nats: what a loss may be above that of a model which knows nothing
_LUCK = 3.0  # nats: what it may be above it in a batch of one by chance
_GROWTH = 1e4  # of the second moment, from the beginning to the end
_MOST_DEAD = 0.5  # of a layer's units
_SPREAD = 100.0  # between the largest and the smallest gradient relative to its weights


def first_step(subject: Subject) -> Iterator[Finding]:
    """Needs a batch with targets: class numbers."""
    if subject.inputs is None or subject.targets is None:
        return
    try:
        diagnosis = diagnose(_Logits(subject.model), (subject.inputs, subject.targets), jacobian=False)
    except Exception as error:  # other targets, outputs without logits, or whatever a model raises
        reason = f"the first step is not looked at: {line(error)}"
        yield Finding("note", "not run", "", reason, "give class numbers, and look at the message")
        return
    yield from _of_loss(diagnosis, len(subject.inputs))
    yield from _of_layers(diagnosis.readings)
    yield from _of_signal(subject, diagnosis.readings)


class _Logits(nn.Module):
    """A model whose output is one tensor: its logits, where it returns a tuple, a mapping or an output of transformers.

    Its layers have the names that they have in the model, after "model.".
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Any:
        """The logits, (N, classes, ...) or (N, ..., classes)."""
        outputs = self.model(inputs)
        if isinstance(outputs, dict) and "logits" in outputs:  # so are those of transformers
            return outputs["logits"]
        return outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs


def _of_loss(diagnosis: Diagnosis, samples: int) -> Iterator[Finding]:
    value, chance = diagnosis.net["loss"], diagnosis.net["ln_classes"]
    if not math.isfinite(value):
        yield Finding("error", "first loss", "", f"the loss is {value}", "look for the first layer that is not finite")
    elif value > chance + max(_WORSE, _LUCK / math.sqrt(samples)):
        yield Finding(
            "warning",
            "first loss",
            "",
            f"the loss is {value:.3g}, and a model that knows nothing has ln(classes) = {chance:.3g}",
            "make the last layer smaller",
        )


def _of_layers(readings: Sequence[Reading]) -> Iterator[Finding]:
    readings = [reading for reading in readings if reading.values["pre_second_moment"] > 0]  # behind a dead layer
    for reading in readings:
        if (dead := reading.values["dead"]) > _MOST_DEAD:
            reason = f"{dead:.0%} of its units have no derivative anywhere in the batch"
            yield Finding("warning", "dead units", _name(reading), reason, "smaller biases, or another nonlinearity")
    relative = {_name(r): r.values["gradient_to_weight"] for r in readings}
    relative = {name: value for name, value in relative.items() if 0 < value < math.inf}
    if len(relative) > 1 and (spread := max(relative.values()) / min(relative.values())) > _SPREAD:
        small, large = min(relative, key=relative.__getitem__), max(relative, key=relative.__getitem__)
        reason = f"relative to its weights, the gradient of {large} is {spread:.2g} times that of {small}"
        remedy = "an optimizer that adapts, or other gains"
        yield Finding("note", "gradients of different scales", small, reason, remedy)


def _of_signal(subject: Subject, readings: Sequence[Reading]) -> Iterator[Finding]:
    """From the first branch to the last along each residual stream; through all layers of a model without branches."""
    try:
        branches = subject.parts.branches
    except ValueError:  # nothing is known about them
        return
    if not branches:
        found = [(_name(r), r.values["pre_second_moment"]) for r in readings if r.values["pre_second_moment"] > 0]
        yield from _of_moments(found[:-1])  # the last is the head's own matter
        return
    begins = {branch.modules[0][0]: branch.stream for branch in branches if branch.modules}
    moments = _inputs_of(subject, set(begins))
    for stream in {branch.stream for branch in branches}:
        yield from _of_moments([(name, moments[name]) for name in moments if begins[name] == stream])


def _inputs_of(subject: Subject, names: set[str]) -> dict[str, float]:
    """The second moment of the inputs of modules, by their names, in the order in which they run."""
    found: dict[str, float] = {}
    assert subject.inputs is not None
    copy = working_copy(subject.model, next(subject.model.parameters()).device, "an audit")

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor) and inputs[0].is_floating_point():
                found.setdefault(name, second_moment(inputs[0]))

        return hook

    for name, module in copy.named_modules():
        if name in names:
            module.register_forward_pre_hook(note(name))
    first = next(copy.parameters())
    with torch.no_grad():
        copy(subject.inputs.to(first.device, first.dtype if subject.inputs.is_floating_point() else None))
    return found


def _of_moments(moments: list[tuple[str, float]]) -> Iterator[Finding]:
    if len(moments) < 2 or not moments[0][1]:
        return
    (first, start), (last, end) = moments[0], moments[-1]
    ratio = end / start
    if not 1 / _GROWTH < ratio < _GROWTH:
        yield Finding(
            "warning",
            "the signal grows" if ratio > 1 else "the signal dies",
            last,
            f"from {first} to {last} the second moment of the signal changes by {ratio:.2g}",
            "choose the gain of the nonlinearity, a norm, or smaller residual branches",
        )


def _name(reading: Reading) -> str:
    """The name of a layer in the model itself."""
    return reading.layer.removeprefix("model").removeprefix(".")
