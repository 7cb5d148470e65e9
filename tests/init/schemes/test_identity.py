"""The identity family: exact entries, against the papers' formulas written out naively."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import place
from scipy.linalg import hadamard
from torch import Generator, Tensor, nn

import initbench
from initbench.init.layer import Layer, describe_layer
from initbench.init.place import Place
from initbench.init.schemes.identity import (
    eye_,
    hadamard_,
    padded_identity_,
    partial_identity_,
    zero_preserving_,
)
from initbench.init.schemes.own import default_

sizes, groupings = st.integers(1, 20), st.integers(1, 3)


def layer_of(module: nn.Module, position: Place | None = None) -> Layer:
    return describe_layer("layer.weight", module, "weight", module.weight, position=position)


@torch.no_grad()
def filled(scheme, module: nn.Module, seed: int = 0, position: Place | None = None, **parameters) -> Tensor:
    layer = layer_of(module, position)
    tensor = torch.full(layer.shape, math.nan)
    scheme(tensor, layer, Generator().manual_seed(seed), **parameters)
    return tensor


def grouped(inputs: int, outputs: int, groups: int, kernel: int = 3) -> nn.Module:
    return nn.Conv1d(groups * inputs, groups * outputs, kernel, groups=groups)


@given(inputs=sizes, outputs=sizes, groups=groupings, seed=st.integers(0, 99))
def test_partial_identity_is_the_modules_own_below_an_identity(inputs: int, outputs: int, groups: int, seed) -> None:
    module = grouped(inputs, outputs, groups)
    own = filled(default_, module, seed)
    for group, drawn in zip(filled(partial_identity_, module, seed).chunk(groups), own.chunk(groups), strict=True):
        passed = torch.zeros(min(inputs, outputs), inputs, 3)
        passed[:, :, 1] = torch.eye(min(inputs, outputs), inputs)
        assert torch.equal(group[:inputs], passed)
        assert torch.equal(group[inputs:], drawn[inputs:])


def test_partial_identity_passes_its_input_through() -> None:
    conv = initbench.initialize(nn.Conv2d(3, 8, 3, padding=1, bias=False), "partial_identity")
    images = torch.randn(2, 3, 5, 5)
    assert torch.equal(conv(images)[:, :3], images)
    linear = initbench.initialize(nn.Linear(4, 6), "partial_identity")
    assert torch.equal(linear.weight[:4], torch.eye(4))
    assert 0 < float(linear.weight[4:].detach().abs().max()) <= 0.5


def test_partial_identity_gives_every_gate_and_projection_an_identity() -> None:
    model = initbench.initialize(nn.Sequential(nn.LSTM(4, 4), nn.MultiheadAttention(4, 2)), "partial_identity")
    for weight in (model[0].weight_ih_l0, model[0].weight_hh_l0, model[1].in_proj_weight):
        assert torch.equal(weight, torch.eye(4).repeat(len(weight) // 4, 1))


def test_partial_identity_of_a_transposed_convolution() -> None:
    module = initbench.initialize(nn.ConvTranspose2d(4, 8, 3, padding=1, groups=2, bias=False), "partial_identity")
    images = torch.randn(1, 4, 5, 5)
    assert torch.allclose(module(images)[:, [0, 1, 4, 5]], images, atol=1e-6)
    assert float(module.weight[:, 2:].detach().abs().max()) <= 1 / math.sqrt(4 * 9)


def naive_zero(outputs: int, inputs: int) -> Tensor:
    """Algorithm 1, whole matrices multiplied out."""
    if outputs <= inputs:
        return torch.eye(outputs, inputs)
    c = math.ceil(math.log2(outputs))
    whole = torch.tensor(hadamard(2**c), dtype=torch.float32)
    return torch.eye(outputs, 2**c) @ whole @ torch.eye(2**c, inputs) / 2 ** (c / 2)


@given(inputs=sizes, outputs=st.integers(1, 70), groups=groupings)
def test_hadamard_is_algorithm_one(inputs: int, outputs: int, groups: int) -> None:
    for group in filled(hadamard_, grouped(inputs, outputs, groups)).chunk(groups):
        assert torch.allclose(group[:, :, 1], naive_zero(outputs, inputs))
        assert (group[:, :, [0, 2]] == 0).all()
    linear = filled(hadamard_, nn.Linear(inputs, outputs))
    assert torch.allclose(linear, naive_zero(outputs, inputs))


def test_hadamard_columns_are_orthonormal_at_powers_of_two() -> None:
    weight = filled(hadamard_, nn.Linear(5, 32))
    assert torch.allclose(weight.T @ weight, torch.eye(5), atol=1e-6)


def test_a_hadamard_corner_of_a_vocabulary_needs_no_whole_matrix() -> None:
    """Whole, it would be 131072 squared, 128 GiB."""
    weight = filled(hadamard_, nn.Linear(3, 100_000, bias=False))
    assert torch.equal(weight.abs().unique(), torch.tensor([2.0**-8.5]))


class Residual(nn.Module):
    """A block by the protocol of structure.py."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual_network() -> nn.Sequential:
    branches = [nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6)) for _ in range(3)]
    return nn.Sequential(nn.Linear(4, 6), *map(Residual, branches), nn.Linear(6, 3))


def test_zero_hadamard_is_deterministic_and_starts_from_its_skip_connections() -> None:
    a, b = (initbench.initialize(residual_network(), "zero_hadamard", seed=seed) for seed in (0, 1))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    x = torch.randn(5, 4)
    assert torch.equal(a[:-1](x), a[0](x))
    assert (a(x) == 0).all()
    assert torch.allclose(a[1].branch[0].weight, naive_zero(9, 6))
    for block in a[1:-1]:
        assert (block.branch[2].weight == 0).all()


@pytest.mark.parametrize("name", ["zero_hadamard", "idinit"])
def test_zeros_that_learn(name: str) -> None:
    """All branches and the last layer begin at zero, and yet every one of them moves."""
    model = initbench.initialize(residual_network(), name)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    x = torch.randn(128, 4, generator=Generator().manual_seed(0))
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), x[:, :3].argmax(dim=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(3), rel=1e-4)
    assert losses[-1] < 0.3
    for old, parameter in zip(before, model.parameters(), strict=True):
        assert float((parameter.detach() - old).abs().max()) > 1e-3


@pytest.mark.parametrize("name, size", [("zero_hadamard", 0.0), ("idinit", 1e-6)])
def test_the_end_of_an_attention_is_its_output_projection(name: str, size: float) -> None:
    model = nn.Sequential(Residual(nn.MultiheadAttention(8, 2)), nn.Linear(8, 2))
    initbench.initialize(model, name)
    attention = model[0].branch
    assert float(attention.out_proj.weight.detach().abs().max()) == pytest.approx(size)
    assert torch.allclose(attention.in_proj_weight, torch.eye(8).repeat(3, 1), atol=1e-5)


@pytest.mark.parametrize("name, size", [("zero_hadamard", 0.0), ("idinit", 1e-6)])
def test_a_parametrized_end_is_set_through_its_parametrization(name: str, size: float) -> None:
    model = nn.Sequential(Residual(nn.MultiheadAttention(8, 2)), nn.Linear(8, 2))
    end = model[0].branch.out_proj
    nn.utils.parametrize.register_parametrization(end, "weight", Doubled())
    initbench.initialize(model, name)
    assert float(end.weight.detach().abs().max()) == pytest.approx(size)
    assert float(end.parametrizations.weight.original.detach().abs().max()) == pytest.approx(size / 2)


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def right_inverse(self, x: Tensor) -> Tensor:
        return x / 2


@given(inputs=sizes, outputs=sizes, groups=groupings)
def test_idinit_by_its_definition(inputs: int, outputs: int, groups: int) -> None:
    """w[i, j] = gain where i = j mod (the number of columns), over the flattened kernel."""
    weight = filled(padded_identity_, grouped(inputs, outputs, groups, 2), gain=2.0, noise=0.0)
    for group in weight.chunk(groups):
        for i, row in enumerate(group.flatten(1)):
            assert row.tolist() == [2.0 * (i % len(row) == j) for j in range(len(row))]


def test_idinits_convolution_shifts_its_inputs() -> None:
    conv = nn.Conv2d(2, 18, 3, padding=1, bias=False)
    conv.weight.data = filled(padded_identity_, conv, noise=0.0)
    images = torch.randn(1, 2, 6, 6)
    unfolded = nn.functional.unfold(images, 3, padding=1).view(1, 18, 6, 6)
    assert torch.equal(conv(images), unfolded)


def test_idinits_noise() -> None:
    noise = filled(padded_identity_, nn.Linear(200, 300), noise=1e-3) - filled(
        padded_identity_, nn.Linear(200, 300), noise=0.0
    )
    assert float(noise.std()) == pytest.approx(1e-3, rel=0.02)
    with pytest.raises(ValueError, match="noise must not be negative, got -1"):
        filled(padded_identity_, nn.Linear(2, 2), noise=-1.0)


@given(inputs=st.integers(2, 20), outputs=sizes, groups=groupings)
def test_zero_preserving_rows_are_balanced(inputs: int, outputs: int, groups: int) -> None:
    weight = filled(zero_preserving_, grouped(inputs, outputs, groups, 1), epsilon=0.5)
    for row in weight.flatten(1):
        assert row.sum() == 0
        assert sorted(row[row != 0].tolist()) == [-0.5, 0.5]


def test_zero_preserving_by_hand() -> None:
    weight = filled(zero_preserving_, nn.Linear(5, 3), epsilon=1.0)
    assert weight.tolist() == [[1, 0, 0, -1, 0], [0, 1, 0, 0, -1], [0, 0, 1, -1, 0]]
    weight = filled(zero_preserving_, nn.Linear(2, 3), epsilon=1.0)
    assert weight.tolist() == [[1, -1], [-1, 1], [1, -1]]


def test_idinit_leaves_no_neuron_without_a_gradient() -> None:
    model = residual_network()
    # With three classes the head's copies cancel those of the last branch, d0 - d0; with five, the sixth feature gets
    # minus the sum of all classes' gradients. Both are 0 but for rounding, and no fault of the initializer's.
    model[-1] = nn.Linear(6, 4)
    initbench.initialize(model, "idinit", seed=2)
    assert float(model[1].branch[2].weight.detach().abs().max()) == pytest.approx(1e-6)
    assert float(model[-1].weight.detach().abs().max()) == pytest.approx(1e-6)
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    nn.functional.cross_entropy(model(x), torch.arange(64) % 4).backward()
    # Far above what rounding leaves, 1e-19
    assert all((block.branch[0].weight.grad.abs().sum(dim=1) > 1e-15).all() for block in model[1:-1])


def test_idinits_two_epsilons_are_the_users() -> None:
    weight = {**initbench.init.scheme.read_option("idinit")["weight"], "epsilon": 0.25}
    model = initbench.initialize(residual_network(), "idinit", epsilon=0.5, weight=weight)
    assert model[1].branch[2].weight.abs().max() == 0.5
    assert model[-1].weight.abs().max() == 0.25


@pytest.mark.parametrize("scheme", [hadamard_, padded_identity_])
def test_the_last_matrix_is_nearly_zero_and_the_one_before_is_not(scheme) -> None:
    assert filled(scheme, nn.Linear(4, 4), position=place(2, 3)).abs().max() < 2e-6
    assert filled(scheme, nn.Linear(4, 4), position=place(1, 3)).abs().max() > 0.9


@pytest.mark.parametrize("scheme", [eye_, partial_identity_, hadamard_, padded_identity_, zero_preserving_])
def test_a_vector_has_no_identity(scheme) -> None:
    layer = describe_layer("bias", nn.Linear(2, 3), "bias", torch.empty(3))
    with pytest.raises(ValueError, match=r"bias has shape \(3,\): the identity"):
        scheme(torch.empty(3), layer, Generator())


def test_the_center_of_an_even_kernel_is_the_tap_behind_the_middle() -> None:
    """k // 2, as the docstring says."""
    weight = filled(hadamard_, nn.Conv2d(3, 3, (4, 2)))
    assert weight[:, :, 2, 1].tolist() == torch.eye(3).tolist()
    assert int(weight.count_nonzero()) == 3


def test_the_negative_entry_of_a_zero_preserving_row_follows_the_positive_one() -> None:
    """Cyclically, from the last column to the first."""
    weight = filled(zero_preserving_, nn.Linear(3, 4), epsilon=1.0)
    assert weight.tolist() == [[1, -1, 0], [0, 1, -1], [-1, 0, 1], [1, -1, 0]]


@pytest.mark.parametrize("gain", [2.0, -0.5])
@pytest.mark.parametrize(
    "module", [nn.Linear(7, 4), nn.Linear(4, 7), nn.Conv2d(6, 9, 3, groups=3), nn.Conv1d(4, 8, 2, groups=2)]
)
def test_an_identity_times_a_gain_has_the_expected_deviation(module: nn.Module, gain: float) -> None:
    weight = filled(eye_, module, gain=gain)
    assert set(weight.unique().tolist()) == {0.0, gain}
    layer = layer_of(module)
    assert int(weight.count_nonzero()) == layer.groups * min(layer.shape[0] // layer.groups, layer.shape[1])
    assert eye_.std(layer, gain=gain) == pytest.approx(float(weight.std(correction=0)))


def test_a_single_input_of_a_zero_preserving_layer_has_no_negative() -> None:
    """Its rows cannot sum to zero, as the docstring says."""
    assert filled(zero_preserving_, nn.Linear(1, 3), epsilon=0.5).tolist() == [[0.5]] * 3
