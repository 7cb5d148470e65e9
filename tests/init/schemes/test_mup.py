"""muP: table 3 by hand, and the coordinate check, through the optimizer that a run would use."""

import math
from itertools import product

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import optimizer
from initbench.init import describe, initialize, initializer
from initbench.model import MLP, LeNet
from initbench.model.recurrent import lstm

OPTIMIZERS = {"adam": {"_target_": "torch.optim.Adam", "lr": 1e-3}, "sgd": {"_target_": "torch.optim.SGD", "lr": 0.05}}


def mlp(width: int = 256, **settings) -> nn.Module:
    return MLP(in_features=64, out_features=10, width=width, **{"depth": 2, **settings})


def convnet(width: int) -> nn.Module:
    """A plain, a depthwise, a grouped and a transposed convolution, norms, and two means over pixels."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.GroupNorm(4, width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )


def rates(model: nn.Module, adaptive: bool, **settings) -> dict[str, float]:
    return initializer("mup", **settings).learning_rates(model, adaptive=adaptive)


def test_variance_of_table_3() -> None:
    model = initialize(mlp(512), "mup", seed=0, base_width=64)
    stds = {name: parameter.std().item() for name, parameter in model.named_parameters() if name.endswith("weight")}
    assert stds["linear1.weight"] == pytest.approx(math.sqrt(2 / 64), rel=0.02)
    assert stds["linear2.weight"] == pytest.approx(math.sqrt(2 / 512), rel=0.02)
    assert stds["classifier.weight"] == pytest.approx(math.sqrt(2 / 512 * 64 / 512), rel=0.03)
    assert stats.kstest(model.linear2.weight.detach().flatten() * math.sqrt(512 / 2), "norm").pvalue > 0.01
    assert all((parameter == 0).all() for name, parameter in model.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("power, name", [(-1, "linear2.weight"), (-2, "classifier.weight")])
def test_variance_falls_with_that_power_of_the_width(power: int, name: str) -> None:
    wanted = [describe(mlp(width), "mup").set_index("parameter")["std_expected"][name] for width in (32, 64, 1024)]
    assert [math.log2((std / wanted[1]) ** 2) for std in wanted] == pytest.approx([-power, 0, 4 * power])


def test_at_the_base_width_it_is_plain_fan_in_scaling() -> None:
    a, b = mlp(96), mlp(96)
    initialize(a, "mup", seed=3, base_width=96)
    initialize(b, "kaiming_normal", seed=3, mode="fan_in")
    for theirs, mine in zip(b.parameters(), a.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert rates(a, True, base_width=96) == rates(a, False, base_width=96) == {}


def test_rates_of_table_3() -> None:
    assert rates(mlp(256), adaptive=True) == {"linear2.weight": 1 / 4, "classifier.weight": 1 / 4}
    assert rates(mlp(256, norm="layer"), adaptive=False) == {
        "linear1.weight": 4,
        "linear1.bias": 4,
        "norm1.weight": 4,
        "norm1.bias": 4,
        "linear2.bias": 4,
        "norm2.weight": 4,
        "norm2.bias": 4,
        "classifier.weight": 1 / 4,
    }
    assert rates(mlp(256), adaptive=True, base_width=1024) == {"linear2.weight": 4, "classifier.weight": 4}


def test_width_is_what_the_output_layer_reads_in_channels_and_not_the_receptive_field() -> None:
    # The depthwise convolution (3) reads one channel at any width, so it is as an input weight.
    assert rates(convnet(128), adaptive=True) == {"5.weight": 1 / 2, "7.weight": 1 / 2, "11.weight": 1 / 2}
    sgd = rates(convnet(128), adaptive=False)
    assert sgd.pop("11.weight") == 1 / 2
    assert sgd == {f"{index}.{key}": 2 for index in (0, 1, 3) for key in ("weight", "bias")} | {
        "5.bias": 2,
        "7.bias": 2,
    }
    wanted = describe(convnet(128), "mup", gain=1).set_index("parameter")["std_expected"]
    assert wanted["3.weight"] == pytest.approx(1 / 3)
    assert wanted["5.weight"] == pytest.approx(1 / math.sqrt(128 / 4 * 9))
    convolution = nn.Sequential(nn.Conv2d(3, 128, 3), nn.ReLU(), nn.Conv2d(128, 10, 3))
    last = describe(convolution, "mup", gain=1).set_index("parameter")["std_expected"]["2.weight"]
    assert last == pytest.approx(1 / math.sqrt(128 * 9 * 2))


@pytest.mark.parametrize("adaptive", [True, False])
def test_unequal_widths_keep_their_rates_at_the_base(adaptive: bool) -> None:
    model = LeNet(in_channels=1, image_size=28, num_classes=10)  # 6, 16, 120 and 84 units
    assert rates(model, adaptive, base_width=84) == {}
    assert set(rates(model, adaptive, base_width=42).values()) == ({1 / 2} if adaptive else {2, 1 / 2})


@pytest.mark.parametrize("bias", [0, "default"])
def test_recurrent_networks(bias: object) -> None:
    network = nn.Sequential(nn.LSTM(28, 128, num_layers=2, bidirectional=True), nn.Linear(256, 10))
    hidden = {f"0.weight_hh_l{layer}" for layer in ("0", "0_reverse", "1", "1_reverse")}
    hidden |= {"0.weight_ih_l1", "0.weight_ih_l1_reverse"}
    assert rates(network, adaptive=True, bias=bias) == dict.fromkeys(hidden | {"1.weight"}, 1 / 4)
    others = {name for name, _ in network.named_parameters()} - hidden - {"1.weight", "1.bias"}
    assert {"0.weight_ih_l0", "0.weight_ih_l0_reverse", "0.bias_ih_l1"} < others
    assert rates(network, adaptive=False, bias=bias) == {**dict.fromkeys(others, 4), "1.weight": 1 / 4}


def test_after_an_embedding_the_first_matrix_is_hidden() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(1000, 128)
            self.position = nn.Parameter(torch.zeros(1, 50, 128))
            self.scale = nn.Parameter(torch.ones(128, 1, 1))
            self.temperature = nn.Parameter(torch.ones(1))
            self.encoder = nn.TransformerEncoderLayer(128, 2, 512, batch_first=True)
            self.head = nn.Linear(128, 7)

    hidden = {f"encoder.{key}" for key in ("self_attn.in_proj_weight", "self_attn.out_proj.weight")}
    hidden |= {"encoder.linear1.weight", "encoder.linear2.weight"}
    assert rates(Tokens(), adaptive=True) == dict.fromkeys(hidden | {"head.weight"}, 1 / 2)
    others = {name for name, _ in Tokens().named_parameters()} - hidden - {"temperature", "head.weight", "head.bias"}
    assert rates(Tokens(), adaptive=False) == {**dict.fromkeys(others, 2), "head.weight": 1 / 2}


def test_a_single_matrix_has_no_width() -> None:
    model = initialize(nn.Linear(784, 100), "mup", seed=0, gain=1)
    assert model.weight.std().item() == pytest.approx(1 / 28, rel=0.02)
    assert rates(model, adaptive=True) == rates(model, adaptive=False) == {}


def test_zero_output() -> None:
    model = initialize(mlp(), "mup", zero_output=True)
    assert (model.classifier.weight == 0).all()
    assert (model.linear2.weight != 0).any()
    assert rates(model, True, zero_output=True) == rates(model, True)


@pytest.mark.parametrize("base_width", [0, -64])
def test_a_base_width_must_be_positive(base_width: float) -> None:
    with pytest.raises(ValueError, match="mup needs a base_width above 0"):
        initialize(mlp(), "mup", base_width=base_width)


def test_bilinear_layers_and_biases_are_refused() -> None:
    with pytest.raises(ValueError, match="weight is bilinear: mup has no rule"):
        initialize(nn.Bilinear(3, 4, 5), "mup")
    with pytest.raises(ValueError, match="fans need at least two dimensions"):
        initialize(mlp(), "mup", bias=None)


def changes(model: nn.Module, init: str, config: dict, images: Tensor, *, seed: int, steps: int) -> dict[str, float]:
    """The root mean square by which each layer's output moves in `steps` steps, by the layer's name."""
    start = initializer(init)
    start.apply(model, seed=seed)
    chosen = optimizer.build(config)(model, lambda adaptive: start.optimizer_factors(model, adaptive=adaptive))
    now: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda module, arguments, output: now.update({name: output.detach()})

    for name, module in model.named_modules():
        if hasattr(module, "weight"):
            module.register_forward_hook(keep(name))
    labels = torch.randint(10, (len(images),), generator=torch.Generator().manual_seed(seed))
    model(images)
    before = dict(now)
    for _ in range(steps):
        chosen.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        chosen.step()
    model(images)
    return {name: (now[name] - before[name]).square().mean().sqrt().item() for name in now}


def slopes(make, widths: tuple[int, ...], seeds: int, init: str, config: dict, shape: tuple[int, ...], steps: int):
    """By layer, d log(change) / d log(width): how the change grows with width, over all seeds."""
    points: dict[str, list[tuple[float, float]]] = {}
    for width, seed in product(widths, range(seeds)):
        images = torch.randn(32, *shape, generator=torch.Generator().manual_seed(seed))
        for name, change in changes(make(width), init, config, images, seed=seed, steps=steps).items():
            points.setdefault(name, []).append((math.log(width), math.log(change)))
    return {name: stats.linregress(*zip(*pairs, strict=True)).slope for name, pairs in points.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [1, 4])
def test_coordinate_check(name: str, steps: int) -> None:
    """Every layer's output, logits included, moves by as much at width 2048 as at 128."""
    slope = slopes(mlp, (128, 512, 2048), 3, "mup", OPTIMIZERS[name], (1, 8, 8), steps)
    assert list(slope) == ["linear1", "linear2", "classifier"]
    for layer, value in slope.items():
        assert abs(value) < 0.15, (layer, value)


def test_coordinate_check_fails_under_standard_parametrization() -> None:
    """One step from Kaiming's, by the counting of Yang & Hu 2021.

    SGD: the gradient at a hidden unit is 1 / sqrt(n), so the first layer moves by that, the second by its sum over
    n inputs, and the logits by n. Adam moves each weight by lr: the sums over n inputs move by n, and the logits by
    between n (their own weights) and n^1.5 (the change below, which lines up with them).
    """
    sgd = slopes(mlp, (128, 512, 2048), 3, "kaiming_normal", OPTIMIZERS["sgd"], (1, 8, 8), 1)
    assert sgd["linear1"] == pytest.approx(-0.5, abs=0.15)
    assert sgd["linear2"] == pytest.approx(0.5, abs=0.2)
    assert sgd["classifier"] == pytest.approx(1, abs=0.2)
    adam = slopes(mlp, (128, 512, 2048), 3, "kaiming_normal", OPTIMIZERS["adam"], (1, 8, 8), 1)
    assert adam["linear1"] == pytest.approx(0, abs=0.1)
    assert adam["linear2"] == pytest.approx(1, abs=0.15)
    assert 1 < adam["classifier"] < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_coordinate_check_of_a_deeper_network(name: str) -> None:
    slope = slopes(lambda width: mlp(width, depth=4), (256, 1024, 2048), 3, "mup", OPTIMIZERS[name], (1, 8, 8), 4)
    assert max(map(abs, slope.values())) < 0.15, slope


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_coordinate_check_of_convolutions(name: str) -> None:
    slope = slopes(convnet, (32, 128, 512), 3, "mup", OPTIMIZERS[name], (3, 6, 6), 4)
    assert max(map(abs, slope.values())) < 0.15, slope
    standard = slopes(convnet, (32, 128, 512), 3, "kaiming_normal", OPTIMIZERS[name], (3, 6, 6), 4)
    assert max(map(abs, standard.values())) > 0.5, standard


def test_a_recurrent_network_trains_under_it() -> None:
    model = lstm(in_channels=1, image_size=8, num_classes=10, hidden_size=32)
    images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    moved = changes(model, "mup", OPTIMIZERS["adam"], images, seed=0, steps=2)
    assert 0 < moved["classifier"] < 1


def test_a_grouped_output_layer_has_the_width_of_all_its_groups() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 10, 1, groups=2))
    assert rates(model, adaptive=True, base_width=32)["2.weight"] == 32 / 64
    std = describe(model, "mup", base_width=32, gain=1).set_index("parameter")["std_expected"]["2.weight"]
    assert std == pytest.approx(math.sqrt(1 / 32 * 32 / 64))  # fan_in is counted within a group


def test_a_hidden_layer_with_one_input_is_hidden() -> None:
    """Unlike a depthwise convolution, whose one input is one of many."""
    model = nn.Sequential(nn.Linear(8, 1), nn.ReLU(), nn.Linear(1, 128), nn.ReLU(), nn.Linear(128, 10))
    assert rates(model, adaptive=True) == {"2.weight": 1 / 2, "4.weight": 1 / 2}


def test_an_embedding_that_is_registered_later_does_not_read_the_data() -> None:
    class Conditioned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.labels = nn.Linear(8, 128), nn.Embedding(10, 128)
            self.second, self.head = nn.Linear(128, 128), nn.Linear(128, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.head(self.second(x + self.labels(torch.zeros(len(x), dtype=torch.long))).relu())

    assert rates(Conditioned(), adaptive=True, gain=1) == {"second.weight": 1 / 2, "head.weight": 1 / 2}


def test_a_width_without_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="base_width"):
        initialize(mlp(), "mup", base_width=math.inf)
