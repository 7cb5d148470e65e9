"""Biases that a norm takes away again."""

from collections import Counter
from collections.abc import Iterator

from torch.nn.modules.batchnorm import _NormBase

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject


def idle_biases(subject: Subject) -> Iterator[Finding]:
    """Biases of layers whose outputs go to a batch or instance norm alone: it subtracts the mean of every unit."""
    if (trace := subject.parts.trace) is None:
        return
    uses = Counter(index for step in trace.steps for index in step.inputs)
    for step in trace.steps:
        if step.kind != "norm" or not any(isinstance(module, _NormBase) for module in step.modules):
            continue
        for index in step.inputs:
            before = trace.steps[index]
            if before.kind != "layer" or uses[index] > 1:
                continue
            for layer in before.modules:
                if getattr(layer, "bias", None) is not None:
                    norm = trace.names[step.modules[0]]
                    yield Finding(
                        "note",
                        "a bias before a norm",
                        f"{trace.names[layer]}.bias",
                        f"{norm} subtracts the mean of every unit, so that the bias has no effect in training",
                        "bias=False",
                    )
