"""What the papers behind the initializers report, at a size that a core trains in a minute.

Every test states the theory or the published number, the setting, and what was measured (torch 2.15, one core).
Accuracies are of the training set: whether the signal gets through a deep network at all, not whether it generalizes.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import polygamma
from torch import Generator, Tensor, nn
from torch.func import functional_call, grad, stack_module_state
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.data.mini import mnist_mini
from initbench.init.gain import named
from initbench.init.schemes.mean_field import critical
from initbench.model.mlp import MLP

pytestmark = pytest.mark.slow

SEEDS = range(5)
SIGMA_B_SQUARED = 0.05
SAXE = ("orthogonal", "xavier_normal")


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1000 handwritten digits of 8 x 8 pixels; the most frequent class is 11.9 % of them."""
    arrays = mnist_mini()
    chosen = torch.randperm(len(arrays.train_images), generator=Generator().manual_seed(0))[:1000]
    images = F.adaptive_avg_pool2d(arrays.train_images.float(), 8)
    return ((images - images.mean()) / images.std())[chosen], arrays.train_labels[chosen]


def accuracies(models: Sequence[nn.Module], *, steps: int, lr: float, every: int) -> Tensor:
    """Train models of one architecture side by side by plain SGD on the same batches of 32.

    Returns the accuracy of each after every `every` steps, of shape (steps / every, models).
    """
    images, labels = digits()
    parameters = {name: value.detach() for name, value in stack_module_state(list(models))[0].items()}

    def loss(own: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(models[0], own, (inputs,)), targets)

    def accuracy(own: dict[str, Tensor]) -> Tensor:
        return (functional_call(models[0], own, (images,)).argmax(1) == labels).float().mean()

    gradients = torch.vmap(grad(loss), in_dims=(0, None, None))
    generator = Generator().manual_seed(0)
    history = []
    for step in range(1, steps + 1):
        batch = torch.randint(len(images), (32,), generator=generator)
        for name, gradient in gradients(parameters, images[batch], labels[batch]).items():
            parameters[name].sub_(gradient, alpha=lr)
        if step % every == 0:
            history.append(torch.vmap(accuracy)(parameters))
    return torch.stack(history)


def mlp(init: str, seed: int, *, overrides: dict[str, float] | None = None, **sizes) -> nn.Module:
    model = MLP(in_features=64, out_features=10, **sizes)
    return initbench.initialize(model, init, seed=seed, **(overrides or {}))


RELU = {"depth": 30, "width": 256, "bias": False}


def test_he_keeps_the_signal_of_thirty_layers_and_the_others_lose_it() -> None:
    """He et al. 2015, section 2.2: per layer the second moment is multiplied by width * var(W) / 2.

    That is 1 for He, 1/2 for Xavier, 1/6 for torch's default (variance 1 / (3 * fan_in)): over the 29 layers between
    the first and the last, 1, 1.9e-9 and 2.7e-23. At width n the logarithm has variance 5 / n per layer around a mean
    lower by half of that (Hanin & Nica 2020): 0.57 in all, so a mean over five seeds is within e^(+-1.35) of
    e^-0.28 times the value, at four standard errors.
    """
    batch = digits()
    growth = {}
    for init in ("kaiming_normal", "xavier_normal", "default"):
        logs = []
        for seed in SEEDS:
            layers = initbench.diagnose(mlp(init, seed, **RELU), batch).layers
            logs.append(math.log(layers.pre_second_moment["linear30"] / layers.pre_second_moment["linear1"]))
        growth[init] = sum(logs) / len(logs)
    spread = 5 * 29 / 256
    for init, factor in (("kaiming_normal", 1), ("xavier_normal", 1 / 2), ("default", 1 / 6)):
        expected = 29 * math.log(factor) - spread / 2
        assert growth[init] == pytest.approx(expected, abs=4 * math.sqrt(spread / len(SEEDS))), init


def test_he_trains_thirty_layers_and_the_others_do_not() -> None:
    """He et al. 2015, figure 3. Measured: He 0.76 to 0.85, Xavier 0.10 to 0.12, default 0.09 to 0.10."""
    inits = ("kaiming_normal", "xavier_normal", "default")
    models = [mlp(init, seed, **RELU) for init in inits for seed in SEEDS]
    he, xavier, default = accuracies(models, steps=400, lr=0.01, every=400)[-1].view(3, -1)
    assert (he > 0.5).sum() >= 4
    assert xavier.max() < 0.2
    assert default.max() < 0.2


def test_only_the_edge_of_chaos_trains_sixty_layers() -> None:
    """Schoenholz et al. 2017, figure 5: networks train to a depth of about 6 xi_c, at most at the critical sigma_w.

    6 xi_c is 21.8, 47.0, 70.8, 41.9 layers at sigma_w^2 = 1, 1.3, 2.5, 4, and infinite at 1.761.
    Measured means over five seeds: 0.12, 0.40, 0.84, 0.38, 0.13 (the critical one from 0.78 to 0.90).
    """
    edge = critical(named("tanh"), math.sqrt(SIGMA_B_SQUARED))[0] ** 2
    variances = (1.0, 1.3, edge, 2.5, 4.0)
    models = [
        mlp("mean_field", seed, depth=60, width=128, nonlinearity="tanh", overrides={"sigma_w": math.sqrt(variance)})
        for variance in variances
        for seed in SEEDS
    ]
    by_variance = accuracies(models, steps=400, lr=0.01, every=400)[-1].view(len(variances), -1).mean(dim=1)
    ordered, below, at_edge, above, chaotic = by_variance.tolist()
    assert at_edge > 0.7
    assert at_edge > max(below, above) + 0.2
    assert max(ordered, chaotic) < 0.2


def test_the_jacobian_of_fifty_orthogonal_layers_is_an_isometry() -> None:
    """Saxe et al. 2014, section 3: a product of orthogonal matrices is orthogonal, one of Gaussians is far from it.

    For L Gaussians of variance 1 / n: log |det| is a sum of logarithms of independent chi-squares (Goodman 1963),
    whose mean per direction is known exactly, and the largest singular value tends to sqrt((L + 1)^(L + 1) / L^L),
    11.7, for n -> infinity. Measured at n = 64: largest 4.6 to 7.1, smallest 2e-9 after rounding to fp32.
    """
    for seed in SEEDS:
        orthogonal, gaussian = (linear_spectrum(init, seed) for init in ("orthogonal", "xavier_normal"))
        np.testing.assert_allclose(orthogonal, 1, atol=1e-4)
        assert 11.7 / 4 < gaussian[0] < 11.7 * 2
        assert gaussian[-1] < 1e-6


def linear_spectrum(init: str, seed: int) -> list[float]:
    model = initbench.initialize(nn.Sequential(*[nn.Linear(64, 64, bias=False) for _ in range(50)]), init, seed=seed)
    generator = Generator().manual_seed(seed)
    batch = torch.randn(4, 64, generator=generator), torch.randint(64, (4,), generator=generator)
    return initbench.diagnose(model, batch).net["singular_values"]


def test_the_determinant_of_gaussian_layers_is_the_product_of_chi_squares() -> None:
    """Goodman 1963: |det W|^2 of an n x n matrix of N(0, 1 / n) is the product of chi^2_k / n, k = 1 ... n.

    Eight layers of eight units, whose product fp32 resolves; the variance of log |det| is sum of psi'(k / 2) / 4.
    """
    n, depth, nets = 8, 8, 40
    k = np.arange(1, n + 1)
    mean = depth * float(np.sum(polygamma(0, k / 2) + math.log(2 / n))) / 2
    std = math.sqrt(depth * float(np.sum(polygamma(1, k / 2))) / 4)
    logs = []
    for seed in range(nets):
        layers = [nn.Linear(n, n, bias=False, dtype=torch.float64) for _ in range(depth)]
        model = initbench.initialize(nn.Sequential(*layers), "xavier_normal", seed=seed)
        batch = torch.randn(2, n, generator=Generator().manual_seed(seed)), torch.zeros(2, dtype=torch.int64)
        logs.append(sum(math.log(value) for value in initbench.diagnose(model, batch).net["singular_values"]))
    assert sum(logs) / nets == pytest.approx(mean, abs=4 * std / math.sqrt(nets))


def test_orthogonal_deep_linear_networks_learn_faster() -> None:
    """Saxe et al. 2014, figure 6. Measured: 80 % after 40 to 50 steps; Gaussian not after 300."""
    models = [mlp(init, seed, depth=60, width=64, nonlinearity="linear") for init in SAXE for seed in SEEDS]
    history = accuracies(models, steps=200, lr=0.002, every=10).view(20, 2, -1)
    orthogonal, gaussian = (history > 0.8).transpose(0, 1)
    assert orthogonal[:10].any(dim=0).all()  # within 100 steps
    assert not gaussian.any()


def test_a_vanilla_cnn_is_an_isometry_with_delta_orthogonal_only() -> None:
    """Xiao et al. 2018, section 3: dynamical isometry of 32 circular convolutions, here linear, of 8 channels.

    Delta-orthogonal: all singular values 1. Orthogonal as a matrix and Gaussian: spread over decades.
    """
    generator = Generator().manual_seed(0)
    batch = torch.randn(2, 8, 5, 5, generator=generator), torch.zeros(2, dtype=torch.int64)
    for seed in SEEDS:
        spread = {}
        for init in ("delta_orthogonal", "orthogonal", "kaiming_normal"):
            convolutions = [nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular", bias=False) for _ in range(32)]
            model = initbench.initialize(nn.Sequential(*convolutions, nn.Flatten()), init, seed=seed)
            values = initbench.diagnose(model, batch).net["singular_values"]
            spread[init] = values[0] / values[-1]
        assert spread["delta_orthogonal"] == pytest.approx(1, abs=1e-4)
        assert min(spread["orthogonal"], spread["kaiming_normal"]) > 1e4


@pytest.mark.timeout(1200)  # three minutes on an idle core
def test_only_delta_orthogonal_trains_a_deep_vanilla_cnn() -> None:
    """Xiao et al. 2018, figure 4, at toy scale: 64 circular tanh convolutions of 4 channels.

    Measured after 150 steps over five seeds: delta-orthogonal 0.65 to 0.71, orthogonal as a matrix 0.24 to 0.31,
    Gaussian of the same variance 0.09 to 0.37. At 32 layers of 32 channels all three train.
    """
    inits = ("delta_orthogonal", "orthogonal", "lecun_normal")
    models = [vanilla_cnn(init, seed) for init in inits for seed in SEEDS]
    delta, orthogonal, gaussian = accuracies(models, steps=150, lr=0.01, every=150).view(3, -1)
    assert delta.min() > 0.55
    assert max(orthogonal.max(), gaussian.max()) < 0.45


def vanilla_cnn(init: str, seed: int) -> nn.Module:
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise([1, *[4] * 64]):
        layers += [nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="circular"), nn.Tanh()]
    gain = {} if init == "lecun_normal" else {"gain": 1.0}
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 64, 10))
    return initbench.initialize(model, init, seed=seed, **gain)


@torch.no_grad()
@pytest.mark.parametrize("width, published", [(2, 0.884), (3, 0.594), (4, 0.304)])
def test_narrow_relu_networks_are_born_dead(width: int, published: float) -> None:
    """Lu et al. 2019: nine hidden layers and an output, scalar input, zero biases.

    Such a network is f(1) x or f(-1) |x|: it is dead if both signs are. One sign survives a layer with probability
    1 - 2^-width, so at least one of two survives nine with a probability between that^9 and twice that^9.
    Published: of 1000 networks, hence the band of two of its standard errors, 0.032. Measured on 10,000: 0.879,
    0.580, 0.294. All networks are one, in groups: a grouped convolution's fans are those of a group.
    """
    nets, depth = 2000, 9
    sizes = [1, *[width] * depth]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Conv1d(nets * fan_in, nets * fan_out, 1, groups=nets), nn.ReLU()]
    signs = torch.tensor([-1.0, 1.0]).view(2, 1, 1).expand(2, nets, 1)
    dead = torch.stack(
        [
            (initbench.initialize(nn.Sequential(*layers), "kaiming_normal", seed=seed)(signs) == 0)
            .view(2, nets, width)
            .all(dim=2)
            .all(dim=0)
            for seed in SEEDS
        ]
    )
    one_sign = (1 - 2.0**-width) ** depth
    assert one_sign < 1 - dead.float().mean() < 2 * one_sign
    assert dead.float().mean() == pytest.approx(published, abs=0.032)
