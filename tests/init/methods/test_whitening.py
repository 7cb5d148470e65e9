"""Patch whitening of the first convolution: what it puts out is white."""

from typing import Any

import pytest
import torch
from running import SHAPE, Attentive, convolutional, images
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import initialize, initializer
from initbench.init.methods.whitening import second_moment, whitening_filters
from initbench.model import MLP, CifarResNet


def network(**options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(**{"in_channels": 3, "out_channels": 24, "kernel_size": 2, **options}), nn.GELU())


def whiten(model: nn.Module, inputs: torch.Tensor, **change: Any) -> Any:
    return initialize(model, "patch_whitening", batch=inputs, weight="default", **change)[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel_size": 3, "out_channels": 54},
        {"kernel_size": (1, 3), "out_channels": 18},
        {"stride": 3},
        {"kernel_size": 3, "dilation": 2, "out_channels": 54},
    ],
)
def test_the_outputs_of_the_first_half_are_white_and_the_second_is_their_negative(options: dict[str, Any]) -> None:
    """With eps = 0 and all eigenvectors, E[(W p)(W p)^T] = 1."""
    conv = whiten(network(**options), images(), eps=0)
    outputs = conv(images()).detach().movedim(1, 0).flatten(1).double()
    half = len(outputs) // 2
    torch.testing.assert_close(outputs[:half], -outputs[half:])
    moment = outputs[:half] @ outputs[:half].T / outputs.shape[1]
    torch.testing.assert_close(moment, torch.eye(half, dtype=torch.float64), rtol=0, atol=1e-3)
    assert (conv.bias == 0).all()


def test_the_filters_are_those_of_airbench() -> None:
    """Patches by F.unfold, eigenvectors by SVD of the patch matrix, up to the sign that is the library's whim."""
    eps = 0.02
    conv = whiten(network(kernel_size=3, out_channels=20), images(), eps=eps)
    patches = F.unfold(images(), 3).movedim(1, 0).flatten(1).double()
    vectors, singular, _ = torch.linalg.svd(patches, full_matrices=False)
    eigenvalues = singular.square() / patches.shape[1]
    expected = (vectors / (eigenvalues + eps).sqrt()).T[:10]
    filters = conv.weight.detach().flatten(1).double()
    assert torch.equal(filters[:10], -filters[10:])
    cosines = torch.cosine_similarity(filters[:10], expected)
    torch.testing.assert_close(cosines.abs(), torch.ones(10, dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close(filters[:10].norm(dim=1), expected.norm(dim=1), rtol=1e-4, atol=0)
    assert (filters[:10].norm(dim=1).diff() > 0).all()  # largest eigenvalue first
    assert (filters[:10].gather(1, filters[:10].abs().argmax(1, keepdim=True)) > 0).all()


def test_an_odd_number_of_units_gets_one_more_of_the_positive() -> None:
    even, odd = (whiten(network(out_channels=n), images()).weight.detach() for n in (8, 7))
    assert torch.equal(even[:4], odd[:4])
    assert torch.equal(even[4:7], odd[4:])


def test_further_units_stay_as_filled() -> None:
    conv = whiten(network(out_channels=40), images(), seed=3)
    filled = initialize(network(out_channels=40), "default", seed=3)[0]
    assert torch.equal(conv.weight[24:], filled.weight[24:])
    assert torch.equal(conv.weight[:12], -conv.weight[12:24])
    assert not torch.equal(conv.weight[:24], filled.weight[:24])


def test_groups_are_whitened_one_by_one() -> None:
    inputs = torch.cat([images(seed=1), images(seed=2)], dim=1)
    grouped = whiten(network(in_channels=6, out_channels=48, groups=2), inputs)
    for index in range(2):
        alone = whiten(network(), images(seed=1 + index))
        torch.testing.assert_close(grouped.weight[24 * index : 24 * (index + 1)], alone.weight)


def test_signals_and_volumes_too() -> None:
    for conv, shape in ((nn.Conv1d(2, 12, 3), (16, 2, 40)), (nn.Conv3d(1, 16, 2), (16, 1, 8, 8, 8))):
        inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0)).cumsum(-1)
        outputs = whiten(nn.Sequential(conv), inputs, eps=0)(inputs).detach().movedim(1, 0).flatten(1)
        half = len(outputs) // 2
        moment = outputs[:half] @ outputs[:half].T / outputs.shape[1]
        torch.testing.assert_close(moment, torch.eye(half), rtol=0, atol=1e-3)


def test_only_the_first_weight_is_frozen_and_only_if_asked() -> None:
    model = CifarResNet(**SHAPE, depth=20)
    first = next(name for name, _ in model.named_parameters())
    for adaptive in (False, True):
        assert initializer("patch_whitening").learning_rates(model, adaptive=adaptive) == {first: 0.0}
        assert initializer("patch_whitening", freeze=False).learning_rates(model, adaptive=adaptive) == {}


def test_the_other_layers_are_partial_identities() -> None:
    treated = initialize(CifarResNet(**SHAPE, depth=20), "patch_whitening", batch=images(), seed=2)
    filled = initialize(CifarResNet(**SHAPE, depth=20), "partial_identity", seed=2)
    differ = [
        name
        for (name, a), b in zip(treated.named_parameters(), filled.parameters(), strict=True)
        if not torch.equal(a, b)
    ]
    assert differ == [next(name for name, _ in treated.named_parameters())]


def test_flags_modes_and_half_precision() -> None:
    model = network().half().eval().requires_grad_(False)
    conv = whiten(model, images().half(), bias=1)
    assert conv.weight.dtype == torch.float16
    assert not conv.weight.requires_grad
    assert not model.training
    assert (conv.bias == 0).all()
    whole = whiten(network(), images().half().float())
    torch.testing.assert_close(conv.weight.float(), whole.weight, rtol=2**-10, atol=2**-20)
    again = whiten(network(), images().half().float())
    assert torch.equal(whole.weight, again.weight)


def test_weight_normalized_and_shared_convolutions() -> None:
    plain = whiten(network(), images())
    model = network()
    nn.utils.parametrizations.weight_norm(model[0])
    torch.testing.assert_close(whiten(model, images()).weight, plain.weight)


class Reversed(nn.Module):
    """Runs its layers in the reverse order of registration."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(24, 5), nn.Conv2d(3, 24, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).mean((2, 3)))


class Words(nn.Sequential):
    """A convolution over embedded words."""

    def __init__(self) -> None:
        super().__init__(nn.Embedding(5, 3), nn.Conv1d(4, 2, 1))


@pytest.mark.parametrize(
    "build, change, message",
    [
        (
            lambda: MLP(in_features=3072, out_features=10, depth=2, width=8),
            {},
            "needs a convolution as the first layer that runs, got .*, a Linear",
        ),
        (Attentive, {}, "needs a convolution as the first layer that runs, got layer embed, a Linear"),
        (lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 2)), {}, "got layer 0, a ConvTranspose2d"),
        (Words, {"batch": torch.ones(3, 4, dtype=torch.long)}, "before 1 runs an embedding"),
        (lambda: network(kernel_size=5, padding=2), {"batch": torch.ones(4, 3, 2, 2)}, r"no patch of size \(5, 5\)"),
        (convolutional, {"eps": -1}, "eps must be at least 0"),
        (convolutional, {"batch": images(1)}, "at least 2 samples"),
        (convolutional, {"batch": torch.full((4, 3, 32, 32), torch.inf)}, "not finite"),
        (convolutional, {"batch": torch.zeros(4, 3, 32, 32), "eps": 0}, "values in 0.weight that are not finite"),
    ],
)
def test_what_cannot_be_whitened_is_one_clear_error(build: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(build(), "patch_whitening", **{"batch": images(), "weight": "default", **change})


def test_the_convolution_that_runs_first_is_whitened_and_frozen() -> None:
    model = initialize(Reversed(), "patch_whitening", batch=images(), weight="default")
    assert torch.equal(model.first.weight[:12], -model.first.weight[12:])
    assert initializer("patch_whitening").learning_rates(model, adaptive=False) == {"first.weight": 0.0}


def test_all_samples_count() -> None:
    """The second half has other moments than the first."""
    inputs = torch.cat([images(20), 3 * images(20, seed=8)])
    outputs = whiten(network(), inputs, eps=0)(inputs).detach().movedim(1, 0).flatten(1).double()
    moment = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    torch.testing.assert_close(moment, torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-3)


def test_an_eigenvalue_below_zero_counts_as_zero() -> None:
    moment = torch.diag(torch.tensor([4.0, -1e-12], dtype=torch.float64))
    filters = whitening_filters(moment, 4, eps=1e-14)
    torch.testing.assert_close(filters[:2], torch.tensor([[0.5, 0], [0, 1e7]], dtype=torch.float64))


def test_a_moment_is_a_mean_over_patches() -> None:
    inputs = torch.tensor([[[[1.0, 2, 3, 4, 5]]]])
    conv = nn.Conv2d(1, 1, (1, 2), stride=(1, 2))  # the patches are (1, 2) and (3, 4)
    expected = torch.tensor([[5.0, 7], [7, 10]], dtype=torch.float64)
    torch.testing.assert_close(second_moment(inputs, conv), expected)
