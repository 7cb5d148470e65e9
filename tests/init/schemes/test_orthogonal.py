"""The orthogonal family: what is orthogonal is measured, as a matrix or as a convolution of whole images."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

import initbench
from initbench.init.gain import named
from initbench.init.layer import Layer, describe_layer
from initbench.init.schemes.orthogonal import delta_orthogonal_, orthogonal_, orthogonal_conv_

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def layer_of(module: nn.Module) -> Layer:
    return describe_layer("layer.weight", module, "weight", module.weight, named("tanh"))


def filled(scheme, module: nn.Module, seed: int = 0, **parameters) -> Tensor:
    layer = layer_of(module)
    tensor = torch.full(layer.shape, math.nan)
    scheme(tensor, layer, Generator().manual_seed(seed), **parameters)
    return tensor


def singular_values(kernel: Tensor, size: int = 8) -> Tensor:
    """Those of the circular convolution on a torus of `size` pixels an axis, block diagonal in Fourier space."""
    axes = tuple(range(2, kernel.dim()))
    blocks = torch.fft.fftn(kernel.double(), s=[size] * len(axes), dim=axes)
    return torch.linalg.svdvals(blocks.flatten(2).permute(2, 0, 1))


@st.composite
def convolutions(draw, most_axes: int = 3) -> nn.Module:
    axes = draw(st.integers(1, most_axes))
    groups = draw(st.integers(1, 3))
    inputs = draw(st.integers(1, 4))
    outputs = draw(st.integers(inputs, 6))
    kernel = tuple(draw(st.lists(st.integers(1, 5 if axes < 3 else 3), min_size=axes, max_size=axes)))
    return CONVS[axes](groups * inputs, groups * outputs, kernel, groups=groups)


@given(module=convolutions(), gain=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_delta_orthogonal_is_an_isometry_at_the_centre_tap(module: nn.Module, gain: float, seed: int) -> None:
    weight = filled(delta_orthogonal_, module, seed, gain=gain)
    centre = tuple((size - 1) // 2 for size in module.kernel_size)
    taps = weight[:, :, *centre].clone()
    for tap in taps.chunk(module.groups):
        assert torch.allclose(tap.T @ tap, gain**2 * torch.eye(tap.shape[1]), atol=1e-5 * gain**2)
    weight[:, :, *centre] = 0
    assert (weight == 0).all()


def test_delta_orthogonal_is_jaxs() -> None:
    """jax.nn.initializers by hand: all is zero but tap (k - 1) // 2, on even axes too, which is a sign-fixed QR.

    JAX stores (k, k, in, out) and gives its tap orthonormal rows, which are our columns.
    """
    weight = filled(delta_orthogonal_, nn.Conv2d(3, 5, (3, 4)), gain=1.0)
    assert weight[:, :, 1, 1].count_nonzero() == 15
    assert weight.count_nonzero() == 15
    draw = torch.randn(5, 3, generator=Generator().manual_seed(0))
    q, r = torch.linalg.qr(draw)
    assert torch.allclose(weight[:, :, 1, 1], q * r.diagonal().sign(), atol=1e-6)


@given(module=convolutions(), seed=st.integers(0, 99))
def test_orthogonal_conv_is_an_isometry_of_images(module: nn.Module, seed: int) -> None:
    for kernel in filled(orthogonal_conv_, module, seed, gain=1.5).chunk(module.groups):
        values = singular_values(kernel, size=5)
        assert torch.allclose(values, torch.full_like(values, 1.5), atol=1e-5)


@pytest.mark.parametrize("scheme, spread", [(orthogonal_conv_, 1e-5), (delta_orthogonal_, 1e-5), (orthogonal_, 0.5)])
def test_orthogonal_is_no_isometry_and_the_others_are(scheme, spread: float) -> None:
    values = singular_values(filled(scheme, nn.Conv2d(16, 16, 3), gain=1.0))
    assert bool(float(values.max() - values.min()) <= spread) == (scheme is not orthogonal_)


def test_torchs_own_circular_convolution_keeps_lengths() -> None:
    x = torch.randn(2, 4, 6, 7)
    conv = nn.Conv2d(4, 8, (3, 5), padding="same", padding_mode="circular", bias=False)
    conv.weight.data = filled(orthogonal_conv_, conv, gain=2.0)
    assert torch.allclose(conv(x).flatten(1).norm(dim=1), 2 * x.flatten(1).norm(dim=1), rtol=1e-5)


def test_orthogonal_conv_uses_every_tap() -> None:
    weight = filled(orthogonal_conv_, nn.Conv2d(16, 16, 3), gain=1.0)
    assert (weight.flatten(2).norm(dim=(0, 1)) > 0.1).all()


def test_orthogonal_conv_is_the_block_kernel_of_the_paper() -> None:
    """2 x 2: [PQ, P(I-Q); (I-P)Q, (I-P)(I-Q)] H, drawn in the order H, Q, P."""
    weight = filled(orthogonal_conv_, nn.Conv2d(3, 4, 2), seed=5, gain=1.0)
    draws = Generator().manual_seed(5)

    def orthogonal() -> Tensor:
        return nn.init.orthogonal_(torch.empty(4, 4, dtype=torch.float64), generator=draws)

    def projection() -> Tensor:
        kept = torch.rand(4, generator=draws) < 0.5
        basis = orthogonal()
        return basis @ torch.diag(kept.double()) @ basis.T

    h, q, p = orthogonal()[:, :3], projection(), projection()
    one = torch.eye(4, dtype=torch.float64)
    expected = torch.stack([torch.stack([p @ q, p @ (one - q)]), torch.stack([(one - p) @ q, (one - p) @ (one - q)])])
    assert torch.allclose(weight.double(), (expected @ h).permute(2, 3, 0, 1), atol=1e-6)


@pytest.mark.parametrize("scheme", [delta_orthogonal_, orthogonal_conv_])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_a_matrix_is_plain_orthogonal(scheme, shape: tuple[int, int]) -> None:
    assert torch.equal(filled(scheme, nn.Linear(*shape)), filled(orthogonal_, nn.Linear(*shape)))


@pytest.mark.parametrize("scheme", [orthogonal_, delta_orthogonal_, orthogonal_conv_])
def test_the_gain_is_that_of_the_model(scheme) -> None:
    conv = nn.Conv2d(4, 4, 1)
    expected = torch.full((4,), 5 / 3)  # tanh
    assert torch.allclose(torch.linalg.svdvals(filled(scheme, conv).flatten(1)), expected, atol=1e-5)
    linear = filled(scheme, conv, nonlinearity="linear").flatten(1)
    assert torch.allclose(torch.linalg.svdvals(linear), torch.ones(4), atol=1e-5)


@pytest.mark.parametrize("scheme", [delta_orthogonal_, orthogonal_conv_])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_std_in_closed_form(scheme, axes: int) -> None:
    module = CONVS[axes](6, 8, 3, groups=2)
    weight = filled(scheme, module, gain=2.0)
    assert float(weight.square().mean()) ** 0.5 == pytest.approx(scheme.std(layer_of(module), gain=2.0), rel=1e-5)
    linear = nn.Linear(9, 5)
    weight = filled(scheme, linear)
    assert float(weight.square().mean()) ** 0.5 == pytest.approx(scheme.std(layer_of(linear)), rel=1e-5)


@pytest.mark.parametrize("name", ["delta_orthogonal", "orthogonal_conv"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolutions_keep_lengths_too(name: str, axes: int) -> None:
    """One pixel of a transposed convolution without padding is its whole kernel."""
    module = TRANSPOSED[axes](4, 8, 3, groups=2, bias=False)
    initbench.initialize(module, name, gain=1.0)
    x = torch.randn(1, 4, *[1] * axes)
    assert float(module(x).detach().norm()) == pytest.approx(float(x.norm()), rel=1e-5)


@pytest.mark.parametrize("name", ["delta_orthogonal", "orthogonal_conv"])
def test_more_inputs_than_outputs_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"weight has 4 input and 2 output channels in each group: {name} needs"):
        initbench.initialize(nn.Conv2d(8, 4, 3, groups=2), name)
    initbench.initialize(nn.Conv2d(4, 4, 3, groups=4), name)


@pytest.mark.parametrize("scheme", [orthogonal_, delta_orthogonal_, orthogonal_conv_])
def test_a_vector_is_refused(scheme) -> None:
    layer = describe_layer("bias", nn.Linear(2, 3), "bias", torch.empty(3))
    with pytest.raises(ValueError, match="at least two dimensions"):
        scheme(torch.empty(3), layer, Generator())


@pytest.mark.parametrize("name", ["delta_orthogonal", "orthogonal_conv"])
@pytest.mark.parametrize("inputs, outputs, groups", [(48, 4, 1), (4, 48, 1), (48, 8, 2)])
def test_a_kernel_of_one_tap_is_a_matrix(name: str, inputs: int, outputs: int, groups: int) -> None:
    row = initbench.describe(nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False), name, gain=1).iloc[0]
    assert row["std_expected"] == pytest.approx(1 / math.sqrt(max(inputs, outputs) / groups))
    assert row["std"] == pytest.approx(row["std_expected"], rel=0.05)


@pytest.mark.parametrize("module", [nn.Conv2d(8, 12, 3, groups=4), nn.Conv1d(2, 60, 3, groups=2), nn.Linear(5, 9)])
def test_the_expected_deviation_of_orthogonal_weights_counts_within_a_group(module: nn.Module) -> None:
    weight = filled(orthogonal_, module, gain=1.5)
    assert orthogonal_.std(layer_of(module), gain=1.5) == pytest.approx(float(weight.square().mean()) ** 0.5, rel=1e-5)


def test_half_of_the_directions_are_kept_by_a_projection() -> None:
    """So a depthwise filter is at the second of two taps as often as at the first."""
    taps = filled(orthogonal_conv_, nn.Conv1d(2000, 2000, 2, groups=2000), gain=1.0)[:, 0]
    assert (taps.abs().sum(1) == 1).all()
    assert float(taps[:, 0].abs().mean()) == pytest.approx(0.5, abs=0.05)
