"""Each task on each kind of data: what it needs, what it loses without knowledge, and what it measures."""

import inspect
import math
from typing import Any

import pytest
import torch
from configs import compose_config, options, typed
from hydra.utils import get_object
from suited import SIZES, SUITED, Weighed, batch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import CONF, data
from initbench.data import Data
from initbench.errors import UserMistake
from initbench.metric import Metric
from initbench.record.objective import check_objective
from initbench.sizes import Sizes
from initbench.task import Task, build

# task=lightning brings the data itself: see tests/training/test_own_module.py.
TASKS = [name for name in options("task") if name != "lightning"]
PAIRS = [(name, kind) for name in TASKS for kind in SIZES]


def task_of(name: str, sizes: Sizes, **options: Any) -> Task:
    return build({**compose_config(f"task={name}")["task"], **options}, sizes)


def test_every_task_is_told_which_data_suit_it() -> None:
    assert set(TASKS) == set(SUITED)


@pytest.mark.parametrize("name, kind", PAIRS)
def test_data_that_do_not_suit_a_task_are_refused(name: str, kind: str) -> None:
    if kind in SUITED[name]:
        assert task_of(name, SIZES[kind]).metric.chance is not None
    else:
        with pytest.raises(ValueError, match=f"task={name} needs .*(images|rows of 3 numbers|texts of 8 tokens)"):
            task_of(name, SIZES[kind])


def test_the_task_that_suits_rows_is_named() -> None:
    with pytest.raises(ValueError, match="the rows of 2 numbers have none; task=classification predicts their classes"):
        task_of("regression", Sizes(9, (2,), num_classes=3))
    with pytest.raises(ValueError, match="the rows of 2 numbers have none; task=regression predicts their numbers"):
        task_of("classification", Sizes(9, (2,), target_size=1))


@pytest.mark.parametrize("name, kind", [(name, kind) for name, kind in PAIRS if kind in SUITED[name]])
def test_means_are_those_of_the_whole_whatever_the_parts(name: str, kind: str) -> None:
    """For one model, and for each model in a pack, where the sums have a row for each."""
    task, (inputs, targets) = task_of(name, SIZES[kind]), batch(SIZES[kind])
    _, targets = task.batch(inputs, targets)
    outputs = torch.randn(2, 5, *task.outputs)
    for_all = targets.expand(2, *targets.shape)
    whole = []
    for place in range(2):
        parts = [slice(0, 2), slice(2, 5)]
        each = [(outputs[place, part], targets[part]) for part in parts]
        sums = sum(task.sums(task.loss(*pair), *pair) for pair in each)
        assert isinstance(sums, torch.Tensor)
        whole.append(task.means(sums.tolist()))
        assert whole[-1]["loss"] == pytest.approx(task.loss(outputs[place], targets).item(), rel=1e-5)
        assert set(whole[-1]) == set(task.measures)
    each_loss = task.loss(outputs.flatten(0, 1), for_all.flatten(0, 1), reduction="none")
    packed = task.sums(each_loss.view(2, -1).mean(1), outputs, for_all)
    for place in range(2):
        assert task.means(packed[place].tolist()) == pytest.approx(whole[place], rel=1e-5)


def test_measures_by_hand() -> None:
    outputs, labels = torch.tensor([[2.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]]), torch.tensor([0, 2, 3])
    task = task_of("classification", SIZES["images"])
    assert task.means(task.sums(task.loss(outputs, labels), outputs, labels).tolist())["accuracy"] == pytest.approx(
        2 / 3
    )
    values, numbers = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    for loss, expected in [("mse", 10 / 4), ("l1", 4 / 4), ("huber", (0.5 + 2.5) / 4)]:
        task = task_of("regression", SIZES["rows with numbers"], loss=loss)
        means = task.means(task.sums(task.loss(values, numbers), values, numbers).tolist())
        assert means == pytest.approx({"loss": expected, "mse": 10 / 4})


@pytest.mark.parametrize("name, kind", [("classification", "images"), ("language_model", "text")])
def test_smoothing_is_of_the_training_loss_alone(name: str, kind: str) -> None:
    task, (_, targets) = task_of(name, SIZES[kind], label_smoothing=0.3), batch(SIZES[kind])
    outputs = torch.randn(5, *task.outputs)
    flat = outputs.flatten(0, -2), targets.flatten()
    torch.testing.assert_close(task.loss(outputs, targets), F.cross_entropy(*flat))
    torch.testing.assert_close(task.loss(outputs, targets, training=True), F.cross_entropy(*flat, label_smoothing=0.3))


def real(*overrides: str) -> tuple[Data, Task]:
    config = compose_config(*overrides)
    found = data.build(config["data"], seed=0)
    return found, build(config["task"], found.sizes)


@pytest.mark.parametrize("name", TASKS)
def test_a_model_that_knows_nothing_loses_the_chance_loss(name: str) -> None:
    """Over all that is trained on: equal scores for all classes, or the mean of what is to be predicted."""
    found, task = real(f"task={name}")
    total = torch.zeros(len(task.measures) + 1)
    for stored, targets in found.loader("train", torch.device("cpu")):
        _, targets = task.batch(found.prepare(stored), targets)
        outputs = torch.zeros(len(targets), *task.outputs)
        total += task.sums(task.loss(outputs, targets), outputs, targets)
    means = task.means(total.tolist())
    assert task.chance_loss is not None
    assert means["loss"] == pytest.approx(task.chance_loss, rel=0.02)  # an epoch drops the last, smaller batch
    assert task.metric.chance == pytest.approx(means[task.metric.name], rel=0.02) or name == "classification"


def test_chance_is_what_a_guess_scores() -> None:
    assert task_of("classification", SIZES["images"]).metric.chance == 0.25
    of_text = task_of("language_model", SIZES["text"])
    assert (of_text.metric.chance, of_text.metric.perfect) == (math.log(11), 0.5)
    assert task_of("regression", SIZES["rows with numbers"], loss="l1").chance_loss is None  # it depends on the data


def test_a_task_of_ones_own_needs_no_more_than_a_class() -> None:
    node = {"_target_": "suited.Median", "name": "median"}
    task = build(node, SIZES["rows with numbers"])
    outputs, targets = torch.zeros(4, 2), torch.ones(4, 2)
    assert task.means(task.sums(task.loss(outputs, targets), outputs, targets).tolist()) == {"loss": 1.0}
    with pytest.raises(ValueError, match=r"made a Sizes, not an initbench.task.Task"):
        build({"_target_": f"{__name__}.no_task", "name": "none"}, SIZES["text"])


def test_what_is_measured_keeps_no_graph() -> None:
    task = Weighed(SIZES["rows with numbers"])
    outputs, targets = torch.zeros(4, 2, requires_grad=True), torch.ones(4, 2)
    sums = task.sums(task.loss(outputs, targets), outputs, targets)
    assert not sums.requires_grad
    assert task.means(sums.tolist()) == {"loss": 1.0, "weighed": 2.0}


def no_task(sizes: Sizes) -> Sizes:
    return sizes


@pytest.mark.parametrize("name", TASKS)
def test_every_file_is_complete(name: str) -> None:
    path = CONF / "task" / f"{name}.yaml"
    assert path.read_text("utf-8").startswith("# ")
    node = compose_config(f"task={name}")["task"]
    assert node["name"] == name
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    assert set(node) - {"_target_", "name"} == set(parameters) - {"sizes"}


def test_a_task_brings_data_and_a_model_and_what_is_typed_comes_before_them() -> None:
    def chosen(*overrides: str) -> tuple[str, ...]:
        config = compose_config(*overrides)
        return config["task"]["name"], config["data"]["name"], config["model"]["name"]

    assert chosen() == ("classification", "mnist_mini", "lenet")
    assert chosen("task=regression") == ("regression", "curves", "mlp")
    assert chosen("task=autoencoder") == ("autoencoder", "mnist_mini", "autoencoder")
    assert chosen("task=language_model") == ("language_model", "text_mini", "gpt")
    assert chosen("task=language_model", "model=lstm", "data=text_file") == ("language_model", "text_file", "lstm")
    assert chosen("data=cifar10", "task=autoencoder") == ("autoencoder", "cifar10", "autoencoder")


@pytest.mark.parametrize("overrides", [[], ["objective=val/loss"], ["objective=steps_to_0.2"], ["objective=test/mse"]])
def test_a_sweeper_may_minimize_what_is_better_lower(overrides: list[str]) -> None:
    config = typed(compose_config("task=regression", *overrides))
    check_objective(config, "minimize")
    with pytest.raises(UserMistake, match=r"is not what this sweep looks for: add hydra.sweeper.direction=minimize"):
        check_objective(config, "maximize")


def test_an_objective_that_the_task_has_not_is_refused() -> None:
    config = typed(compose_config("task=regression", "objective=val/best_accuracy"))
    with pytest.raises(UserMistake, match=r"unknown objective .val/best_accuracy.*val/best_mse"):
        check_objective(config, None)


class Unfinished(Task):
    metric = Metric("mape", "test MAPE", higher_is_better=False)

    def __init__(self, sizes: Sizes, *, complete: bool = False) -> None:
        self.chance_loss = None
        if complete:
            self.outputs, self.given = (1,), {}

    def loss(self, outputs: Any, targets: Any, *, training: bool = False, reduction: Any = "mean") -> Any:
        return F.l1_loss(outputs, targets, reduction=reduction)


def test_a_task_of_the_users_own_that_lacks_something_is_refused() -> None:
    node = {"_target_": f"{__name__}.Unfinished", "name": "own"}
    with pytest.raises(ValueError, match=r"made a task without outputs, given$"):
        build(node, SIZES["rows with numbers"])
    with pytest.raises(ValueError, match=r"is judged by mape and needs a method measure$"):
        build({**node, "complete": True}, SIZES["rows with numbers"])


def test_of_each_sample_the_mean_over_its_predictions_is_kept_before_its_outputs() -> None:
    """By hand, for one model and for each of a pack."""
    outputs = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[0.0, 2.0], [3.0, 4.0]]], dtype=torch.float64)
    targets = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    task = task_of("regression", SIZES["rows with numbers"])
    values = torch.tensor([[0.5, 4.5], [0.0, 8.0]])
    whole = torch.cat([values.unsqueeze(-1), outputs.float()], dim=-1)
    for place in range(2):
        found = task.of_samples(outputs[place], targets, with_outputs=True)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, whole[place])
        assert torch.equal(task.of_samples(outputs[place], targets, with_outputs=False), whole[place, :, :1])
    packed = task.of_samples(outputs, targets.expand(2, 2, 2), with_outputs=True, models=1)
    torch.testing.assert_close(packed, whole)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_of_each_text_the_mean_loss_of_its_tokens_is_kept(smoothing: float) -> None:
    """Without the smoothing of training; in packs for each model."""
    task, (_, targets) = task_of("language_model", SIZES["text"], label_smoothing=smoothing), batch(SIZES["text"])
    outputs = torch.randn(2, 5, 8, 11)
    expected = torch.stack(
        [torch.stack([F.cross_entropy(*of) for of in zip(each, targets, strict=True)]) for each in outputs]
    )
    torch.testing.assert_close(task.values(outputs[0], targets), expected[0])
    torch.testing.assert_close(task.values(outputs, targets.expand(2, 5, 8), models=1), expected)


def test_sums_of_half_precision_are_exact_where_means_are() -> None:
    """293 of 300 predictions are right, and bfloat16 has no 293: the nearest are 292 and 294."""
    task = task_of("classification", SIZES["images"])
    outputs = torch.eye(4, dtype=torch.bfloat16)[torch.zeros(300, dtype=torch.int64)]
    targets = torch.zeros(300, dtype=torch.int64)
    targets[:7] = 1
    sums = task.sums(torch.tensor(0.5, dtype=torch.bfloat16), outputs, targets)
    assert sums.tolist() == [150.0, 293.0, 300.0]
    assert task.means(sums.tolist()) == {"loss": 0.5, "accuracy": 293 / 300}


@pytest.mark.parametrize("name, kind", [("regression", "rows with numbers"), ("autoencoder", "images")])
def test_targets_take_the_type_of_the_outputs(name: str, kind: str) -> None:
    """With float64 weights the loss is of float64, though the data are not."""
    task = task_of(name, SIZES[kind])
    _, targets = task.batch(*batch(SIZES[kind]))
    outputs = torch.randn(5, *task.outputs, dtype=torch.float64)
    loss = task.loss(outputs, targets)
    assert loss.dtype == torch.float64
    assert task.loss(outputs, targets, reduction="none").dim() == 1
    assert task.loss(outputs.to(torch.bfloat16), targets).dtype == torch.bfloat16
    assert task.values(outputs, targets).mean() == pytest.approx(float(loss), rel=1e-5)


def test_an_autoencoder_learns_its_inputs() -> None:
    task, (inputs, labels) = task_of("autoencoder", SIZES["images"]), batch(SIZES["images"])
    found, targets = task.batch(inputs, labels)
    assert found is inputs
    assert targets is inputs
    assert (task.metric.chance, task.chance_loss, task.outputs) == (1.0, 1.0, (1, 6, 6))
