"""What a task finds for each sample: the metric, whose mean over a test set is that of the run."""

import math
from typing import Any

import pytest
import torch
from configs import compose_config
from suited import SIZES, SUITED, Median, Weighed, batch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.task import Task, build

PAIRS = [(name, kind) for name, kinds in SUITED.items() for kind in sorted(kinds)]


def task_of(name: str, kind: str) -> Task:
    return build(compose_config(f"task={name}")["task"], SIZES[kind])


def by_hand(name: str, outputs: Tensor, targets: Tensor) -> list[float]:
    if name == "classification":
        return [float(one.argmax() == label) for one, label in zip(outputs, targets, strict=True)]
    if name == "language_model":
        return [F.cross_entropy(one, tokens).item() for one, tokens in zip(outputs, targets, strict=True)]
    return [(one - wanted).square().mean().item() for one, wanted in zip(outputs, targets, strict=True)]


@pytest.mark.parametrize("name, kind", PAIRS)
def test_the_metric_of_each_sample(name: str, kind: str) -> None:
    task, (inputs, targets) = task_of(name, kind), batch(SIZES[kind])
    _, targets = task.batch(inputs, targets)
    outputs = torch.randn(5, *task.outputs, requires_grad=True)
    found = task.values(outputs, targets)
    assert found.tolist() == pytest.approx(by_hand(name, outputs, targets), rel=1e-5)
    assert not found.requires_grad
    whole = task.means(task.sums(task.loss(outputs, targets), outputs, targets).tolist())
    assert found.mean().item() == pytest.approx(whole[task.metric.name], rel=1e-5)


@pytest.mark.parametrize("name, kind", PAIRS)
def test_the_models_of_a_pack_have_theirs(name: str, kind: str) -> None:
    task, (inputs, targets) = task_of(name, kind), batch(SIZES[kind])
    _, targets = task.batch(inputs, targets)
    outputs = torch.randn(3, 5, *task.outputs)
    packed = task.values(outputs, targets.expand(3, *targets.shape), models=1)
    torch.testing.assert_close(packed, torch.stack([task.values(one, targets) for one in outputs]))


class Averaged(Median):
    """Its loss is a mean, whatever it is asked for."""

    def loss(self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Any = "mean") -> Tensor:
        return F.l1_loss(outputs, targets).reshape(1)


def test_a_loss_that_is_always_averaged_says_nothing_of_samples() -> None:
    task, outputs, targets = Averaged(SIZES["rows with numbers"]), torch.zeros(4, 2), torch.ones(4, 2)
    found = task.values(outputs, targets)
    assert found.shape == (4,)
    assert found.isnan().all()
    packed = task.values(outputs.expand(3, 4, 2), targets.expand(3, 4, 2), models=1)
    assert packed.isnan().tolist() == [[True] * 4] * 3
    assert Median(SIZES["rows with numbers"]).values(outputs, targets).tolist() == [1.0] * 4
    assert Weighed(SIZES["rows with numbers"]).values(outputs, 3 * targets).tolist() == [6.0] * 4


@pytest.mark.parametrize("name, kind", PAIRS)
def test_the_loss_of_each_prediction_has_the_mean_of_all(name: str, kind: str) -> None:
    task, (inputs, targets) = task_of(name, kind), batch(SIZES[kind])
    _, targets = task.batch(inputs, targets)
    outputs = torch.randn(5, *task.outputs)
    each = task.loss(outputs, targets, reduction="none")
    assert each.dim() == 1
    assert each.mean().item() == pytest.approx(task.loss(outputs, targets).item(), rel=1e-5)


def test_what_models_are_given() -> None:
    sizes = SIZES
    given = {(name, kind): dict(task_of(name, kind).given) for name, kind in PAIRS}
    assert given["classification", "images"] == {"num_classes": 4, "out_features": 4}
    assert given["regression", "rows with numbers"] == {"out_features": 2}
    assert given["language_model", "text"] == {}
    assert task_of("language_model", "text").outputs == (8, 11)
    assert task_of("classification", "images").chance_loss == math.log(4)
    for kind in SUITED["autoencoder"]:
        assert math.prod(task_of("autoencoder", kind).outputs) == math.prod(sizes[kind].input_shape)
