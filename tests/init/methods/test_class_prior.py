"""The last bias from the data: an untrained model predicts the shares of the classes, or the mean target."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from running import convolutional, images
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations

from initbench.init import initialize, initializer
from initbench.init.method import Batch
from initbench.sizes import Sizes
from initbench.task import Regression

bce = F.binary_cross_entropy_with_logits


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def mlp(outputs: int = 4, *after: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, outputs), *after)


def bias_of(model: nn.Module, inputs: Tensor, targets: Tensor, **arguments: Any) -> Tensor:
    initialize(model, "class_prior", batch=(inputs, targets), **arguments)
    return next(module.bias for module in reversed([*model.modules()]) if hasattr(module, "bias")).detach()


CLASSES = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])  # of four, so that one is missing


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    """Lin et al. 2017, eq. 4, with gamma = 2."""
    losses = bce(outputs, targets, reduction="none")
    return ((1 - (-losses).exp()) ** 2 * losses).mean()


@pytest.mark.parametrize(
    "smoothing, shares", [(0.5, [4.5 / 10, 3.5 / 10, 1.5 / 10, 0.5 / 10]), (1.0, [5 / 12, 4 / 12, 2 / 12, 1 / 12])]
)
def test_a_softmax_starts_from_the_smoothed_shares_of_the_classes(smoothing: float, shares: list[float]) -> None:
    bias = bias_of(mlp(), numbers(8, 3), CLASSES, smoothing=smoothing)
    torch.testing.assert_close(bias, torch.tensor(shares).log())
    torch.testing.assert_close(bias.softmax(0), torch.tensor(shares))


def test_every_position_of_a_text_counts_and_what_cross_entropy_ignores_does_not() -> None:
    model = nn.Sequential(nn.Embedding(3, 5), nn.Linear(5, 3))
    targets = torch.tensor([[0, 1, 1, -100], [1, 1, 2, -100]])
    bias = bias_of(model, targets.clamp(min=0), targets)
    torch.testing.assert_close(bias, torch.tensor([1.5 / 7.5, 4.5 / 7.5, 1.5 / 7.5]).log())


def test_every_pixel_counts_if_the_last_layer_is_a_convolution() -> None:
    targets = torch.zeros(2, 4, 4, dtype=torch.int64)
    targets[0, 0, 0], targets[1, :2] = 1, 2  # 23, 1 and 8 of 32
    bias = bias_of(nn.Sequential(nn.Conv2d(3, 3, 1)), numbers(2, 3, 4, 4), targets)
    torch.testing.assert_close(bias, torch.tensor([23.5, 1.5, 8.5]).log() - math.log(33.5))


def test_a_pooled_convolution_may_be_the_last_layer() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert bias_of(model, numbers(8, 3, 4, 4), CLASSES)[3] == pytest.approx(math.log(0.05))


def test_outputs_may_be_log_probabilities() -> None:
    model = mlp(4, nn.LogSoftmax(1))
    bias = bias_of(model, numbers(8, 3), CLASSES, loss=F.nll_loss)
    torch.testing.assert_close(bias, torch.tensor([0.45, 0.35, 0.15, 0.05]).log())


def test_probabilities_of_classes_are_counted_as_parts_of_samples() -> None:
    targets = torch.tensor([[0.5, 0.5, 0, 0], [0.25, 0.75, 0, 0]])
    bias = bias_of(mlp(), numbers(2, 3), targets)
    torch.testing.assert_close(bias, torch.tensor([1.25 / 4, 1.75 / 4, 0.5 / 4, 0.5 / 4]).log())
    one_hot = F.one_hot(CLASSES, 4).float()
    torch.testing.assert_close(bias_of(mlp(), numbers(8, 3), one_hot), torch.tensor([0.45, 0.35, 0.15, 0.05]).log())


LABELS = torch.tensor([[0.0, 1], [0, 1], [0, 0], [0, 1]])


@pytest.mark.parametrize("loss", [bce, focal, lambda outputs, targets: bce(outputs, targets.float())])
@pytest.mark.parametrize("targets", [LABELS, LABELS.long(), F.one_hot(torch.tensor([0, 1, 1, 1])).float()])
def test_a_sigmoid_starts_from_pi(loss: Callable[..., Tensor], targets: Tensor) -> None:
    bias = bias_of(mlp(2), numbers(4, 3), targets, loss=lambda o, t: loss(o, t.float()))
    torch.testing.assert_close(bias, torch.full((2,), -4.59511985))  # -log(.99 / .01)
    torch.testing.assert_close(bias.sigmoid(), torch.full((2,), 0.01))


def test_a_sigmoid_may_start_from_the_smoothed_share_of_ones() -> None:
    bias = bias_of(mlp(2), numbers(4, 3), LABELS, loss=bce, pi=None)
    torch.testing.assert_close(bias.sigmoid(), torch.tensor([0.5 / 5, 3.5 / 5]))


def test_a_single_output_without_an_axis_of_its_own_is_one_too() -> None:
    model = mlp(1, nn.Flatten(0))
    targets = torch.tensor([1, 0, 0, 1])
    bias = bias_of(model, numbers(4, 3), targets, loss=lambda o, t: bce(o, t.float()), pi=0.2)
    torch.testing.assert_close(bias, torch.tensor([-math.log(4)]))
    assert bias_of(model, numbers(4, 3), targets * 50.0, loss=F.l1_loss) == 25


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss])
def test_a_regression_starts_from_the_mean(loss: Callable[..., Tensor]) -> None:
    targets = torch.tensor([[50.0, -3], [54, -3], [46, -1.5], [50, 0]])
    assert bias_of(mlp(2), numbers(4, 3), targets, loss=loss).tolist() == [50, -1.875]


def test_numbers_that_are_all_0_or_1_are_a_regression_if_the_loss_wants_these() -> None:
    assert bias_of(mlp(2), numbers(4, 3), LABELS, loss=F.mse_loss).tolist() == [0, 0.75]


@pytest.mark.parametrize("kind", ["mse", "l1", "huber"])
def test_the_loss_of_a_task_is_understood(kind: Any) -> None:
    sizes = Sizes(train_size=8, input_shape=(3,), target_size=2, target_variance=1.0)
    loss = Regression(sizes, loss=kind).loss
    targets = numbers(8, 2, seed=1)
    torch.testing.assert_close(bias_of(mlp(2), numbers(8, 3), targets, loss=loss), targets.mean(0))


def test_images_are_averaged_over_all_but_the_units_of_the_last_layer() -> None:
    images = numbers(8, 2, 4, 4)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(32, 32), nn.Unflatten(1, (2, 4, 4)))
    torch.testing.assert_close(bias_of(dense, images, images, loss=F.mse_loss), images.mean(0).flatten())
    transposed = nn.Sequential(nn.Conv2d(2, 3, 2, stride=2), nn.ConvTranspose2d(3, 2, 2, stride=2))
    torch.testing.assert_close(bias_of(transposed, images, images, loss=F.mse_loss), images.mean((0, 2, 3)))


@pytest.mark.parametrize(
    "targets, loss, arguments",
    [
        (CLASSES, F.cross_entropy, {"smoothing": 1e-9}),
        ((numbers(8, 4, seed=2) > 0.3).float(), bce, {"pi": None, "smoothing": 1e-9}),
        (numbers(8, 4, seed=3) * 5, F.mse_loss, {}),
    ],
)
def test_without_smoothing_no_other_bias_has_a_lower_loss(targets: Tensor, loss: Any, arguments: Any) -> None:
    """If the last weight is zero, the loss is convex in the bias, and its gradient is zero."""
    model = mlp()
    rules = [{"match": "last", "weight": 0}]
    initialize(model, "class_prior", batch=(numbers(8, 3), targets), loss=loss, rules=rules, **arguments)
    loss(model(numbers(8, 3)), targets).backward()
    assert model[2].bias.grad.abs().max() < 1e-6


def test_everything_else_stays_as_filled_and_the_record_has_the_number_of_classes() -> None:
    filled, treated = initialize(convolutional(), "orthogonal", gain=1.0, bias=0.1), convolutional()
    weight = {"name": "orthogonal", "gain": 1.0}
    chosen = initializer("class_prior", weight=weight, bias=0.1)
    outcome = chosen.apply(treated, seed=0, batch=Batch(images(), torch.arange(16) % 3))
    assert outcome.numbers == {"steps": 2, "classes_in_batch": 3}
    assert outcome.changed == {"12.bias"}
    ours = treated.state_dict()
    assert [name for name, value in filled.state_dict().items() if not torch.equal(value, ours[name])] == ["12.bias"]


def test_narrow_and_weight_normalized_models() -> None:
    model = nn.Sequential(nn.Linear(3, 5), parametrizations.weight_norm(nn.Linear(5, 4))).bfloat16()
    bias = bias_of(model, numbers(8, 3).bfloat16(), CLASSES)
    assert bias.dtype == torch.bfloat16
    torch.testing.assert_close(bias, torch.tensor([0.45, 0.35, 0.15, 0.05]).log().bfloat16())


class Language(nn.Module):
    """A head that shares its weight with the embedding, registered before it."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.head, self.embedding = nn.Linear(5, 3, bias=bias), nn.Embedding(3, 5)
        self.hidden = nn.Linear(5, 5)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.hidden(self.embedding(tokens)))


def test_a_tied_head_has_a_bias_of_its_own() -> None:
    tokens = torch.tensor([[0, 1, 1], [1, 2, 1]])
    model = initialize(Language(bias=True), "class_prior", batch=(tokens, tokens))
    torch.testing.assert_close(model.head.bias, torch.tensor([1.5, 4.5, 1.5]).log() - math.log(7.5))
    with pytest.raises(ValueError, match="sets the bias of the last layer, and layer embedding, a Embedding, has none"):
        initialize(Language(bias=False), "class_prior", batch=(tokens, tokens))


class Scalar(nn.Linear):
    """A single number as the bias of all outputs, as in Fixup."""

    def __init__(self) -> None:
        super().__init__(3, 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(1))


class Two(nn.Linear):
    def forward(self, inputs: Tensor) -> Any:
        return super().forward(inputs), inputs


REFUSED: list[tuple[Callable[[], nn.Module], dict[str, Any], str]] = [
    (lambda: nn.Linear(3, 4, bias=False), {}, "and layer Linear, a Linear, has none"),
    (lambda: nn.Sequential(nn.RNN(3, 4)), {}, "and layer 0, a RNN, has none"),
    (lambda: nn.BatchNorm1d(3), {}, "needs a last layer, and BatchNorm1d has no weight matrix"),
    (Scalar, {}, r"needs one bias for each output, and layer Scalar has 1, with outputs of shape \(8, 4\)"),
    (lambda: Two(3, 4), {}, "needs a model whose output is one tensor, got a tuple"),
    (
        lambda: mlp(4, nn.Tanh()),
        {},
        "a bias that is added to the outputs, and that of layer 2 is not: something follows",
    ),
    (lambda: mlp(1, nn.ReLU()), {"targets": numbers(8, 1), "loss": F.mse_loss}, "that of layer 2 is not"),
    (lambda: mlp(4, nn.Softmax(1)), {}, "that of layer 2 is not"),
    (lambda: mlp(4, nn.LayerNorm(4)), {}, "that of layer 2 is not"),
    (lambda: mlp(4, nn.LogSoftmax(1)), {"targets": numbers(8, 4), "loss": F.mse_loss}, "that of layer 2 is not"),
    (
        lambda: mlp(1, nn.Sigmoid()),
        {"targets": CLASSES, "loss": lambda o, t: F.mse_loss(o[:, 0], t.float())},
        "2 is not",
    ),
    (lambda: mlp(2), {}, "was given class 2, and layer 2 has 2 outputs"),
    (mlp, {"targets": CLASSES - 1}, "was given class -1, and layer 2 has 4 outputs"),
    (
        mlp,
        {"targets": numbers(8, 3), "loss": F.mse_loss},
        r"a class for each prediction or a number for each output, got .* \(8, 4\) from layer 2 and .* \(8, 3\)",
    ),
    (mlp, {"targets": numbers(8, 4)}, "needs the loss of these targets"),
    (mlp, {"targets": None}, "class_prior needs targets"),
    (mlp, {"pi": 1}, "pi must be between 0 and 1 and smoothing positive, got pi=1, smoothing=0.5"),
    (mlp, {"pi": 0.0}, "pi must be between 0 and 1"),
    (mlp, {"smoothing": 0}, "smoothing positive, got pi=0.01, smoothing=0"),
    (mlp, {"targets": torch.full((8, 4), torch.nan), "loss": F.mse_loss}, r"left values in 2\.bias that are not fin"),
]


@pytest.mark.parametrize("build, change, message", REFUSED)
def test_what_has_no_prior_is_one_clear_error(build: Any, change: dict[str, Any], message: str) -> None:
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    targets = change.pop("targets", CLASSES)
    batch = numbers(8, 3) if targets is None else (numbers(8, 3), targets)
    with pytest.raises(ValueError, match=message) as error:
        initialize(model, "class_prior", batch=batch, **change)
    assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_of_heads_that_share_a_weight_the_last_has_the_bias_that_is_set() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.aside, self.head = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(5, 4)
            self.head.weight = self.aside.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.hidden(x))

    model = initialize(Heads(), "class_prior", batch=(numbers(8, 3), CLASSES))
    torch.testing.assert_close(model.head.bias.detach(), torch.tensor([0.45, 0.35, 0.15, 0.05]).log())
    assert not model.aside.bias.any()


def test_signs_are_no_labels() -> None:
    targets = torch.tensor([[1.0, -1], [1, 1], [-1, 1], [1, 1]])
    assert bias_of(mlp(2), numbers(4, 3), targets, loss=F.soft_margin_loss).tolist() == [0.5, 0.5]


def test_labels_that_are_all_one_have_a_finite_bias() -> None:
    bias = bias_of(mlp(2), numbers(4, 3), torch.ones(4, 2), loss=bce, pi=None)
    torch.testing.assert_close(bias.sigmoid(), torch.full((2,), 4.5 / 5))
