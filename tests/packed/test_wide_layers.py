"""Layers side by side do to each replica what its own layer does, whether replicas share a batch or not."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import stack_module_state

from initbench.model.resnet_cifar import Shortcut
from initbench.packed.forward import Mapped, SideBySide, agreeing, forward_of
from initbench.packed.layers import side_by_side

REPLICAS = 6
LAYERS: dict[str, nn.Module] = {
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5)),
    "linear without bias": nn.Sequential(nn.Flatten(), nn.Linear(192, 7, bias=False), nn.Linear(7, 5)),
    "convolution": nn.Conv2d(3, 4, 3, stride=2, padding=1),
    "grouped convolution": nn.Conv2d(3, 6, 3, groups=3),
    "reflected convolution": nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect"),
    "batch norm": nn.BatchNorm2d(3),
    "batch norm without scale": nn.BatchNorm2d(3, affine=False),
    "batch norm without statistics": nn.BatchNorm2d(3, track_running_stats=False),
    "batch norm of features": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5)),
    "group norm": nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(4, 8)),
    "group norm first": nn.GroupNorm(3, 3),
    "layer norm": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.LayerNorm(5)),
    "layer norm first": nn.Sequential(nn.Flatten(), nn.LayerNorm(192)),
    "layer norm without bias": nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.LayerNorm(5, eps=0.1, bias=False)),
    "layer norm without scale": nn.Sequential(
        nn.Flatten(), nn.Linear(192, 5), nn.LayerNorm(5, eps=0.1, elementwise_affine=False)
    ),
    "group norm without scale": nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8, eps=0.1, affine=False)),
    "slow batch norm": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.1, momentum=0.01)),
    "dilated convolution": nn.Conv2d(3, 4, 3, dilation=2, padding=1, bias=False),
    "circular convolution": nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="circular"),
    "deep grouped convolution": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3, groups=2)),
    "prelu": nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU()),
    "prelu by channels": nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(4)),
    "pools": nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)),
    "pools behind activations": nn.Sequential(
        *[nn.Conv2d(3, 4, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten()],
    ),
    "shortcut": nn.Sequential(nn.Conv2d(3, 4, 1), Shortcut(4, 8, stride=2)),
}


def replicas(module: nn.Module) -> list[nn.Module]:
    """Each with numbers of its own in every parameter and buffer."""
    made = []
    for seed in range(REPLICAS):
        generator = torch.Generator().manual_seed(seed)
        one = copy.deepcopy(module).double()
        with torch.no_grad():
            for tensor in [*one.parameters(), *one.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.1)
        made.append(one)
    return made


def wide(module: nn.Module, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
    """Outputs (R, B, ...) of images (G, B, C, S, S)."""
    outputs = torch.func.functional_call(module, (parameters, buffers), (images.transpose(0, 1).flatten(1, 2),))
    assert isinstance(outputs, Tensor)
    return outputs.unflatten(1, (REPLICAS, -1)).transpose(0, 1)


@pytest.mark.parametrize("batches", [1, 2, 6])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_own(name: str, batches: int) -> None:
    """Outputs, gradients of weights and images, and running statistics; training and not."""
    module = LAYERS[name]
    alone = replicas(module)
    parameters, buffers = stack_module_state([copy.deepcopy(one) for one in alone])
    together = side_by_side(module)
    if name == "batch norm without statistics" and batches < REPLICAS:
        batches = REPLICAS  # it has neither: nothing tells how many replicas there are
    generator = torch.Generator().manual_seed(9)
    images = torch.randn(batches, 5, 3, 8, 8, generator=generator, dtype=torch.float64)
    if name == "batch norm without scale":
        parameters = {}
    for training in (True, False):
        together.train(training)
        found = wide(together, parameters, buffers, images)
        weights = torch.randn(found.shape, generator=generator, dtype=torch.float64)
        gradients = torch.autograd.grad((found * weights).sum(), list(parameters.values())) if parameters else ()
        for place, one in enumerate(alone):
            one.train(training)
            expected = one(images[place * batches // REPLICAS]).view_as(found[place])
            torch.testing.assert_close(found[place], expected)
            loss = (expected * weights[place]).sum()
            own = torch.autograd.grad(loss, list(one.parameters())) if parameters else ()
            for ours, theirs in zip(gradients, own, strict=True):
                torch.testing.assert_close(ours[place], theirs)
            for key, buffer in one.named_buffers():
                torch.testing.assert_close(buffers[key][place], buffer)


def test_pooling_before_a_relu_changes_no_bit() -> None:
    """Also where maxima are equal, zero, negative, or no numbers. One activation is in two places."""
    relu = nn.ReLU()
    module = nn.Sequential(relu, nn.MaxPool2d(2), nn.Hardtanh(-9, 9), relu, nn.MaxPool2d(3, 1, padding=1))
    together = side_by_side(module)
    assert isinstance(together, nn.Sequential)
    names = [type(layer).__name__ for layer in together]
    assert names == ["MaxPool2d", "ReLU", "Hardtanh", "MaxPool2d", "ReLU"]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(-3, 3, (64, 3, 8, 8), generator=generator).float()
    images[0, 0, 0, 0] = torch.nan
    weights = torch.randn(64, 3, 4, 4, generator=generator)
    found = []
    for network in (module, together):
        pixels = images.clone().requires_grad_()
        outputs = network(pixels)
        (outputs * weights).sum().backward()
        assert pixels.grad is not None
        found.append((outputs, pixels.grad))
    for ours, alone in zip(*found, strict=True):
        assert torch.equal(ours.nan_to_num(nan=99), alone.nan_to_num(nan=99))


def test_a_gradient_passes_a_flatten_in_the_layout_of_its_input() -> None:
    flatten = side_by_side(nn.Sequential(nn.Flatten()))
    for layout in (torch.channels_last, torch.contiguous_format):
        images = torch.randn(2, 6, 4, 4).to(memory_format=layout).requires_grad_()
        gradients: list[Tensor] = []
        below = images * 1
        outputs = flatten(below)
        below.register_hook(gradients.append)
        outputs.square().sum().backward()
        assert torch.equal(gradients[0], 2 * images)
        assert gradients[0].is_contiguous(memory_format=layout)


def test_gradients_reach_what_lies_below() -> None:
    """Through linear layers, whose products are differentiated by hand."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    parameters, buffers = stack_module_state(replicas(module))
    names = list(parameters)
    together = side_by_side(module)
    images = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)

    def outputs(*tensors: Tensor) -> Tensor:
        return wide(together, dict(zip(names, tensors, strict=True)), buffers, images)

    inputs = [parameters[name].detach().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)


DROPPING = {
    "of images": nn.Sequential(nn.Dropout(0.3), nn.Conv2d(3, 4, 3)),
    "of features": nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.Dropout(0.3), nn.Linear(10, 5), nn.Dropout(0.7)),
    "of maps": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.5)),
    "of channels": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(0.5)),
    "of nothing": nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.0)),
}


@pytest.mark.parametrize("batches", [1, 2, 6])
@pytest.mark.parametrize("name", DROPPING)
def test_dropout_draws_what_a_run_of_its_seed_draws(name: str, batches: int) -> None:
    """Bit for bit what torch draws alone, step after step; replicas 0 to 2 have seed 7, the others seed 8."""
    module = DROPPING[name]
    alone = [one.to(memory_format=torch.channels_last) for one in replicas(module)]
    parameters, buffers = stack_module_state([copy.deepcopy(one) for one in alone])
    forward = SideBySide(module)
    streams = {seed: torch.Generator().manual_seed(seed) for seed in (7, 8)}
    seeds = [7] * 3 + [8] * 3
    for dropout in forward.dropouts:
        dropout.streams = [streams[seed] for seed in seeds]
    generator = torch.Generator().manual_seed(9)
    images = torch.randn(2, batches, 5, 3, 8, 8, generator=generator, dtype=torch.float64)
    found = torch.stack([forward(parameters, buffers, of_step) for of_step in images])
    for place, one in enumerate(alone):
        torch.manual_seed(seeds[place])
        for step, of_step in enumerate(images):
            own = of_step[place * batches // REPLICAS].contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(found[step, place], one(own))
    forward.model.eval()
    found = forward(parameters, buffers, images[0])
    torch.testing.assert_close(found[0], alone[0].eval()(images[0, 0]))


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.5), nn.Softmax(dim=1), nn.Conv1d(3, 3, 1), nn.LSTM(3, 3)])
def test_a_layer_without_such_a_form_is_named(layer: nn.Module) -> None:
    with pytest.raises(NotImplementedError, match=type(layer).__name__):
        side_by_side(nn.Sequential(nn.Flatten(), layer))


class Mixing(nn.Module):
    """What lies between its layers looks across channels, and no layer tells."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1))
        return logits - logits.mean(1, keepdim=True)


def test_a_model_that_mixes_channels_is_mapped_over_instead() -> None:
    images = torch.randn(4, 3, 8, 8)
    assert isinstance(forward_of(Mixing(), images), Mapped)
    assert isinstance(forward_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), images), SideBySide)
    models = [Mixing() for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    found = forward_of(Mixing(), images)(parameters, buffers, images[None])
    torch.testing.assert_close(found, torch.stack([model(images) for model in models]))


def test_the_model_itself_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    before = [type(module) for module in model.modules()]
    forward_of(model, torch.randn(2, 3, 8, 8))
    assert [type(module) for module in model.modules()] == before
    assert next(model.parameters()).dtype == torch.float32


class Scaling(nn.Module):
    """A number that is neither a parameter nor a buffer multiplies what it returns, in training, else, or in both."""

    def __init__(self, training: float = 1.0, other: float = 1.0, *, zero: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.scales = {True: training, False: other}
        if zero:
            nn.init.zeros_(self.layer.weight)
            nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layer(features) * self.scales[self.training]
        return logits


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("kind", [SideBySide, Mapped])
def test_whoever_computes_anything_else_is_told_from_the_others(
    kind: type[SideBySide] | type[Mapped], zero: bool
) -> None:
    """In training or not, by little, and though its weights are zero at first; in its place."""
    scales = [(1, 1), (1 + 1e-4, 1), (1, 1), (1, 1 - 1e-4), (1, 1)]
    models = [Scaling(*pair, zero=zero) for pair in scales]
    before = [[parameter.detach().clone() for parameter in model.parameters()] for model in models]
    found = agreeing(kind(models[0]), models, torch.randn(4, 6))
    assert found == [True, False, True, False, True]
    for model, tensors in zip(models, before, strict=True):
        assert all(map(torch.equal, model.parameters(), tensors))
    assert agreeing(kind(models[1]), models, torch.randn(4, 6)) == [False, True, False, False, False]
