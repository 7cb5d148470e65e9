"""What one batch shows of a model at its first step: the loss, the signal, the gradients, dead units."""

import math
from collections.abc import Iterator

from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject
from initbench.diagnostics.diagnose import diagnose
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.loss import Loss

_WORSE = 0.5  # nats: what a loss may be above that of a model which knows nothing
_LUCK = 3.0  # nats: what it may be above it in a batch of one by chance
_GROWTH = 1e4  # of the second moment, from the first layer to the last
_MOST_DEAD = 0.5  # of a layer's units
_SPREAD = 100.0  # between the largest and the smallest gradient relative to its weights


def first_step(subject: Subject, loss: Loss = F.cross_entropy) -> Iterator[Finding]:
    """Needs a batch with targets. Raises ValueError where the model cannot be run on it."""
    if subject.inputs is None or subject.targets is None:
        return
    diagnosis = diagnose(subject.model, (subject.inputs, subject.targets), loss=loss)
    yield from _of_loss(diagnosis, len(subject.inputs))
    yield from _of_layers(diagnosis)


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


def _of_layers(diagnosis: Diagnosis) -> Iterator[Finding]:
    readings = [reading for reading in diagnosis.readings if reading.values["pre_second_moment"] > 0]
    moments = [reading.values["pre_second_moment"] for reading in readings[:-1]]  # the last is the head's own matter
    if len(moments) > 1 and not 1 / _GROWTH < (ratio := moments[-1] / moments[0]) < _GROWTH:
        yield Finding(
            "warning",
            "the signal grows" if ratio > 1 else "the signal dies",
            readings[-2].layer,
            f"from {readings[0].layer} to {readings[-2].layer} the second moment of the signal changes by {ratio:.2g}",
            "choose the gain of the nonlinearity, a norm, or smaller residual branches",
        )
    for reading in readings:
        if (dead := reading.values["dead"]) > _MOST_DEAD:
            reason = f"{dead:.0%} of its units have no derivative anywhere in the batch"
            yield Finding("warning", "dead units", reading.layer, reason, "smaller biases, or another nonlinearity")
    relative = {
        r.layer: r.values["gradient_to_weight"] for r in readings if 0 < r.values["gradient_to_weight"] < math.inf
    }
    if len(relative) > 1 and (spread := max(relative.values()) / min(relative.values())) > _SPREAD:
        small, large = min(relative, key=relative.__getitem__), max(relative, key=relative.__getitem__)
        reason = f"relative to its weights, the gradient of {large} is {spread:.2g} times that of {small}"
        yield Finding(
            "warning", "gradients of different scales", small, reason, "an optimizer that adapts, or other gains"
        )
