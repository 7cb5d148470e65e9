"""Higher derivatives: composed operators against torch's own, and that torch's layers allow what methods need."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.derivatives import differentiable


class Recurrent(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layer(inputs.flatten(2))[0]
        return outputs[:, -1]


class Attention(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.layer, self.need_weights = nn.MultiheadAttention(16, 2, batch_first=True), need_weights

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = inputs.flatten(2)
        outputs: Tensor = self.layer(tokens, tokens, tokens, need_weights=self.need_weights)[0]
        return outputs.mean(1)


def between(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *layers, nn.Flatten(), nn.LazyLinear(5))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "batch_norm": lambda: between(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
    "batch_norm without scale": lambda: between(nn.BatchNorm2d(4, affine=False), nn.Tanh()),
    "instance_norm": lambda: between(nn.InstanceNorm2d(4, affine=True), nn.GELU()),
    "group_norm": lambda: between(nn.GroupNorm(2, 4), nn.SiLU(), nn.AvgPool2d(2)),
    "layer_norm": lambda: between(nn.LayerNorm(4), nn.GELU("tanh"), nn.AdaptiveAvgPool2d(1)),
    "rms_norm": lambda: between(nn.RMSNorm(4), nn.Softplus(), nn.ReflectionPad2d(1)),
    "hardsigmoid": lambda: between(nn.Hardsigmoid(), nn.Hardswish(), nn.AdaptiveMaxPool2d(2)),
    "attention": lambda: Attention(need_weights=False),
    "attention with weights": lambda: Attention(need_weights=True),
    "encoder": lambda: nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(16, 2, 8, 0.0, batch_first=True)),
    "rnn": lambda: Recurrent(nn.RNN(16, 5, batch_first=True)),
    "lstm": lambda: Recurrent(nn.LSTM(16, 5, num_layers=2, bidirectional=True, batch_first=True)),
    "gru": lambda: Recurrent(nn.GRU(16, 5, batch_first=True)),
    "transposed": lambda: between(nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)),
}


def images() -> Tensor:
    return torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def loss_of(model: nn.Module, parameters: dict[str, Tensor]) -> Tensor:
    return functional_call(model, parameters, (images().to(next(iter(parameters.values()))),)).square().mean()


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("kind", MODELS)
def test_derivatives_agree_with_finite_differences(kind: str, times: int) -> None:
    """First to last derivative along one direction, each against the difference of the one below it."""
    torch.manual_seed(0)
    model = MODELS[kind]()
    model(images())
    model.double().train()
    start = {name: p.detach() for name, p in model.named_parameters()}
    direction = {name: torch.randn_like(p) for name, p in start.items()}

    def derivatives(at: float) -> list[Tensor]:
        t = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        values = [loss_of(model, {name: p + t * direction[name] for name, p in start.items()})]
        for _ in range(times):
            values.append(torch.autograd.grad(values[-1], t, create_graph=True)[0])
        return [value.detach() for value in values]

    with differentiable(model, "test", times=times):
        step = 1e-6
        before, here, after = derivatives(-step), derivatives(0.0), derivatives(step)
    for order in range(1, times + 1):
        slope = (after[order - 1] - before[order - 1]) / (2 * step)
        torch.testing.assert_close(here[order], slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(3),
        nn.BatchNorm2d(3, affine=False, eps=0.1),
        nn.BatchNorm2d(3, track_running_stats=False).eval(),
        nn.BatchNorm2d(3).eval(),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.InstanceNorm2d(3, affine=True),
        nn.InstanceNorm2d(3, track_running_stats=True).eval(),
        nn.LayerNorm(4),
        nn.LayerNorm(4, bias=False),
        nn.LayerNorm((4, 4), eps=0.1, elementwise_affine=False),
        nn.Hardsigmoid(),
    ],
    ids=str,
)
def test_composed_operators_are_torchs(layer: nn.Module) -> None:
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2)
    expected = layer(images() * 4)
    with differentiable(layer, "test", times=3):
        composed = layer(images() * 4)
    if layer.training and getattr(layer, "track_running_stats", False):  # which the first call has moved
        assert layer.num_batches_tracked == 2
    torch.testing.assert_close(composed, expected, rtol=1e-5, atol=1e-6)


def test_an_operator_without_the_derivative_is_named() -> None:
    model = nn.Sequential(nn.EmbeddingBag(5, 4), nn.Linear(4, 2))
    inputs, targets = torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1])

    def twice() -> None:
        with differentiable(model, "gradinit", times=2):
            (gradient,) = torch.autograd.grad(
                F.cross_entropy(model(inputs), targets), model[0].weight, create_graph=True
            )
            torch.autograd.grad(gradient.square().sum(), model[0].weight)

    with pytest.raises(ValueError, match=r"gradinit differentiates the model 2 times.*_embedding_bag_backward"):
        twice()


def test_other_errors_pass_through() -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), differentiable(model, "test", times=2):
        model(torch.ones(2, 5))
