"""The loss of a diagnosis: images, sequences, segmentation, regression, and losses of one's own."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import diagnose
from initbench.diagnostics.loss import class_dim, cross_entropy, ln_classes

N, CLASSES = 6, 5


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def labels(*shape: int, classes: int = CLASSES) -> Tensor:
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(1))


def seeded(module: nn.Module) -> nn.Module:
    """With weights that do not depend on what ran before."""
    generator = torch.Generator().manual_seed(2)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    return module


class ClassesFirst(nn.Module):
    """(N, T, features) to (N, classes, T)."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x).transpose(1, 2)  # type: ignore[no-any-return]  # a Tensor


def weight_gradient(model: nn.Module, value: Tensor) -> float:
    return float(torch.autograd.grad(value, next(model.parameters()))[0].norm())


@pytest.mark.parametrize(
    "model, inputs, targets, by_hand",
    [
        (nn.Linear(3, CLASSES), (N, 3), (N,), lambda out, y: F.cross_entropy(out, y)),
        (nn.Linear(3, CLASSES), (N, 7, 3), (N, 7), lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten())),
        (ClassesFirst(), (N, 7, 3), (N, 7), lambda out, y: F.cross_entropy(out, y)),
        (nn.Conv2d(3, CLASSES, 1), (N, 3, 4, 8), (N, 4, 8), lambda out, y: F.cross_entropy(out, y)),
        (
            nn.Linear(3, CLASSES),
            (N, 4, 8, 3),
            (N, 4, 8),
            lambda out, y: F.cross_entropy(out.flatten(0, 2), y.flatten()),
        ),
        (nn.Conv3d(3, CLASSES, 1), (N, 3, 2, 4, 8), (N, 2, 4, 8), lambda out, y: F.cross_entropy(out, y)),
    ],
    ids=["classes", "sequence, last", "sequence, first", "segmentation", "segmentation, last", "volumes"],
)
def test_the_layout_of_the_classes_is_that_of_the_targets(
    model: nn.Module, inputs: tuple[int, ...], targets: tuple[int, ...], by_hand: Callable[[Tensor, Tensor], Tensor]
) -> None:
    model, x, y = seeded(model), randn(*inputs), labels(*targets)
    expected = by_hand(model(x), y)
    found = diagnose(model, (x, y))
    assert found.net["ln_classes"] == pytest.approx(math.log(CLASSES))
    assert found.net["loss"] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert found.layers["weight_gradient_norm"].iloc[0] == pytest.approx(weight_gradient(model, expected), rel=1e-4)
    assert found.missing.keys() <= {"singular_values"}
    own = diagnose(model, (x, y), loss=by_hand)
    assert own.net["ln_classes"] == pytest.approx(math.log(CLASSES))
    assert own.net["loss"] == pytest.approx(found.net["loss"])


def test_a_zero_head_has_the_loss_of_chance_in_every_layout() -> None:
    for model in (nn.Linear(3, CLASSES), ClassesFirst()):
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        net = diagnose(model, (randn(N, 7, 3), labels(N, 7))).net
        assert net["loss"] == pytest.approx(net["ln_classes"])


def test_where_both_layouts_fit_it_is_torchs() -> None:
    """A sequence as long as there are classes; the number of classes is the same in either."""
    model, x, y = seeded(nn.Linear(3, CLASSES)), randn(N, CLASSES, 3), labels(N, CLASSES)
    found = diagnose(model, (x, y))
    assert found.net["loss"] == pytest.approx(float(F.cross_entropy(model(x), y).detach()))
    assert found.net["ln_classes"] == pytest.approx(math.log(CLASSES))
    last = diagnose(model, (x, y), loss=lambda out, y: F.cross_entropy(out.transpose(1, 2), y))
    assert last.net["loss"] != pytest.approx(found.net["loss"], rel=1e-3)
    assert last.net["ln_classes"] == pytest.approx(math.log(CLASSES))


@pytest.mark.parametrize(
    "outputs, targets, dim",
    [
        ((2, 5), (2,), 1),
        ((2, 5, 7), (2, 7), 1),
        ((2, 7, 5), (2, 7), 2),
        ((2, 5, 4, 6), (2, 4, 6), 1),
        ((2, 4, 6, 5), (2, 4, 6), 3),
        ((2, 5, 5), (2, 5), 1),
        ((2, 5), (2, 5), None),
        ((2, 5), (2, 1), None),
        ((2, 5, 7), (2,), None),
        ((2,), (2,), None),
    ],
)
def test_the_dimension_of_the_classes(outputs: tuple[int, ...], targets: tuple[int, ...], dim: int | None) -> None:
    assert class_dim(torch.zeros(outputs), torch.zeros(targets)) == dim


@pytest.mark.parametrize("shape, last", [((N, CLASSES), False), ((N, CLASSES, 7), False), ((N, 7, CLASSES), True)])
def test_probabilities_are_targets_too(shape: tuple[int, ...], last: bool) -> None:
    outputs, dim = randn(*shape), -1 if last else 1
    targets = randn(*shape).softmax(dim).double()
    expected = -(targets * outputs.log_softmax(dim)).sum(dim).mean()
    torch.testing.assert_close(cross_entropy(outputs, targets), expected.float())
    assert ln_classes(outputs, targets.float(), cross_entropy) == pytest.approx(math.log(CLASSES))


def test_log_probabilities_with_their_own_loss_have_the_same_chance() -> None:
    model = nn.Sequential(seeded(nn.Linear(3, CLASSES)), nn.LogSoftmax(-1))
    batch = randn(N, 3), labels(N)
    assert diagnose(model, batch, loss=F.nll_loss).net["ln_classes"] == pytest.approx(math.log(CLASSES))
    assert diagnose(model, batch).net["ln_classes"] == pytest.approx(math.log(CLASSES))


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.cross_entropy(out[:, :-1].flatten(0, 1), y[:, 1:].flatten()),  # the next token
        lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten(), label_smoothing=0.1),
        lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten(), ignore_index=0),
        lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten(), weight=torch.arange(1.0, 1 + CLASSES)),
    ],
    ids=["next token", "smoothed", "ignored", "weighted"],
)
def test_a_cross_entropy_of_ones_own_has_ln_classes(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    found = diagnose(seeded(nn.Linear(3, CLASSES)), (randn(N, 7, 3), labels(N, 7)), loss=loss)
    assert found.net["ln_classes"] == pytest.approx(math.log(CLASSES))
    assert found.missing == {}


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.mse_loss(out, F.one_hot(y, CLASSES).float()),
        lambda out, y: F.multi_margin_loss(out, y),
        lambda out, y: F.cross_entropy(out, y, reduction="sum"),
    ],
    ids=["squares", "margin", "sum"],
)
def test_another_loss_of_a_classifier_has_no_ln_classes(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    model, batch = seeded(nn.Linear(3, CLASSES)), (randn(N, 3), labels(N))
    found = diagnose(model, batch, loss=loss)
    assert math.isnan(found.net["ln_classes"])
    assert "ln(classes)" not in str(found)
    expected = weight_gradient(model, loss(model(batch[0]), batch[1]))
    assert found.layers["weight_gradient_norm"].iloc[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("width", [1, 4])
def test_regression_has_the_gradients_of_its_loss_and_no_ln_classes(width: int) -> None:
    model, batch = (
        seeded(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, width))),
        (randn(N, 3), randn(N, width)),
    )
    found = diagnose(model, batch, loss=F.mse_loss)
    assert math.isnan(found.net["ln_classes"])
    assert found.layers["weight_gradient_norm"].gt(0).all()
    expected = weight_gradient(model, F.mse_loss(model(batch[0]), batch[1]))
    assert found.layers["weight_gradient_norm"].iloc[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "outputs, targets, message",
    [
        ((N, 1), randn(N, 1), r"class numbers or probabilities .*loss=torch\.nn\.functional\.mse_loss"),
        ((N, 1), torch.ones(N, 1), "class numbers or probabilities of two classes or more"),
        ((N, 4), randn(N, 4), "class numbers or probabilities"),
        ((N,), randn(N), "class numbers or probabilities"),
        ((N, 1), randn(N), "class numbers or probabilities"),
        ((N, 1), labels(N), "two classes or more"),
        ((N,), labels(N), r"logits \(N, classes, \.\.\.\)"),
        ((N, 4), labels(N, 1, classes=4), r"outputs of shape \(6, 4\) and torch.int64 targets of shape \(6, 1\)"),
        ((N, 4), labels(N, 4, classes=2), r"logits \(N, classes, \.\.\.\)"),
        ((N, 4), torch.full((N,), 4), "class numbers from 0 to 3, or -100 to be ignored, got 4 to 4"),
        ((N, 4), torch.full((N,), -1), "got -1 to -1"),
        ((N, 4), torch.full((N,), -100), "every target is -100, which cross_entropy ignores"),
    ],
)
def test_what_does_not_suit_the_default_loss_is_refused(
    outputs: tuple[int, ...], targets: Tensor, message: str
) -> None:
    model = seeded(
        nn.Sequential(
            nn.Linear(3, math.prod(outputs[1:])), nn.Unflatten(1, outputs[1:]) if outputs[1:] else nn.Flatten(0)
        )
    )
    with pytest.raises(ValueError, match=message) as caught:
        diagnose(model, (randn(N, 3), targets))
    assert "\n" not in str(caught.value)


def test_several_outputs_need_a_loss_of_their_own() -> None:
    model = type("Two", (nn.Linear,), {"forward": lambda self, x: (nn.Linear.forward(self, x), x)})(3, CLASSES)
    batch = randn(N, 3), labels(N)
    with pytest.raises(ValueError, match="needs one tensor, got a tuple: pass your own"):
        diagnose(model, batch)
    found = diagnose(model, batch, loss=lambda out, y: F.cross_entropy(out[0], y))
    assert found.layers["weight_gradient_norm"].gt(0).all()


def test_small_integers_are_class_numbers() -> None:
    model, x, y = seeded(nn.Linear(3, CLASSES)), randn(N, 3), labels(N)
    expected = diagnose(model, (x, y)).net
    for dtype in (torch.int32, torch.uint8):
        assert diagnose(model, (x, y.to(dtype))).net["loss"] == expected["loss"]


def test_some_ignored_targets_change_nothing_but_the_mean() -> None:
    model, x, y = seeded(nn.Linear(3, CLASSES)), randn(N, 7, 3), labels(N, 7)
    y[:, 4:] = -100
    found = diagnose(model, (x, y))
    assert found.net["loss"] == pytest.approx(
        float(F.cross_entropy(model(x[:, :4]).flatten(0, 1), y[:, :4].flatten()).detach())
    )
    assert found.net["ln_classes"] == pytest.approx(math.log(CLASSES))


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.cross_entropy(out.detach(), y),
        lambda out, y: torch.tensor(1.0),
        lambda out, y: 1.0,
        lambda out, y: torch.zeros((), requires_grad=True),
    ],
    ids=["detached", "constant", "a number", "another's"],
)
def test_a_loss_that_does_not_depend_on_the_weights_is_refused(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match="the loss does not depend on the weights"):
        diagnose(nn.Linear(3, CLASSES), (randn(N, 3), labels(N)), loss=loss)


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the loss must be a scalar, got a tensor of shape \(6,\)"):
        diagnose(
            nn.Linear(3, CLASSES),
            (randn(N, 3), labels(N)),
            loss=lambda out, y: F.cross_entropy(out, y, reduction="none"),
        )


@pytest.mark.parametrize(
    "loss, quantity, reason",
    [
        (
            lambda out, y: (0 * out).sum(),
            "gradients",
            "the loss does not change with the outputs, so every gradient is 0",
        ),
        (
            lambda out, y: F.cross_entropy(out, torch.full_like(y, -100), reduction="sum"),
            "gradients",
            "the loss does not change with the outputs, so every gradient is 0",
        ),
        (
            lambda out, y: F.cross_entropy(out, torch.full_like(y, 9), ignore_index=9),
            "loss",
            "it is nan though the outputs are finite: are all targets ignored?",
        ),
    ],
    ids=["times 0", "all ignored, sum", "all ignored, mean"],
)
def test_gradients_that_are_all_zero_are_told(
    loss: Callable[[Tensor, Tensor], Tensor], quantity: str, reason: str
) -> None:
    found = diagnose(seeded(nn.Linear(3, CLASSES)), (randn(N, 3), labels(N)), loss=loss)
    assert found.missing[quantity] == reason
    assert reason in str(found)


class Auxiliary(nn.Module):
    """A second head that runs, and that the loss does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.aux = nn.Linear(3, 4), nn.Linear(4, CLASSES), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(x)
        self.aux(hidden)
        return self.head(hidden)  # type: ignore[no-any-return]  # a Tensor


def test_a_layer_that_the_loss_does_not_see_has_no_gradient_and_is_named() -> None:
    found = diagnose(seeded(Auxiliary()), (randn(N, 3), labels(N)))
    assert found.missing == {"gradients": "the loss does not depend on aux"}
    assert found.layers["weight_gradient_norm"].isna().tolist() == [False, True, False]
    assert found.layers["pre_second_moment"].notna().all()


def test_true_zeros_are_no_fault() -> None:
    """Below a head of zeros nothing has a gradient, and the head itself has one."""
    model = seeded(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, CLASSES)))
    nn.init.zeros_(model[1].weight)
    found = diagnose(model, (randn(N, 3), labels(N)))
    assert found.layers.loc["0", "weight_gradient_norm"] == 0
    assert found.missing == {}


@pytest.mark.parametrize("model", [nn.Flatten(), nn.LayerNorm(3)], ids=["no parameters", "a norm alone"])
def test_a_model_without_weighted_layers_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="diagnose needs"):
        diagnose(model, (randn(N, 3), labels(N, classes=3)))
