"""Sums on the device against torch's own reduction over the whole."""

import pytest
import torch
from tasks import classification
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.training.meter import Meter


def test_unequal_batches_weigh_by_their_samples() -> None:
    logits, labels = torch.randn(30, 5), torch.randint(5, (30,))
    meter = Meter(classification(logits.shape[1]))
    for part in (slice(0, 7), slice(7, 30)):
        meter.update(F.cross_entropy(logits[part], labels[part]), logits[part], labels[part])
    found = meter.compute(lambda sums: sums)
    assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    with pytest.raises(RuntimeError, match="before any batch"):
        meter.compute(lambda sums: sums)


def test_the_sums_of_all_processes_count() -> None:
    logits, labels = torch.eye(2), torch.tensor([0, 0])
    meter = Meter(classification(logits.shape[1]))
    meter.update(F.cross_entropy(logits, labels), logits, labels)
    found = meter.compute(lambda sums: sums + torch.tensor([8.0, 0.0, 2.0]))
    assert found["accuracy"] == 0.25
