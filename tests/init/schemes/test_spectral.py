"""Spectral scaling: singular values as measured, rates by hand; the coordinate check is in test_coordinate_check.py."""

import math

import pytest
import torch
from torch import Tensor, nn

from initbench.init import describe, initialize, initializer
from initbench.init.structure.parts import find_attentions
from initbench.model import GPT, MLP


def singular_values(matrix: Tensor) -> Tensor:
    return torch.linalg.svdvals(matrix.detach().double())


def assert_all_are(values: Tensor, wanted: float) -> None:
    torch.testing.assert_close(values, torch.full_like(values, wanted), rtol=1e-4, atol=0)


@pytest.mark.parametrize("shape", [(7, 30), (30, 7), (12, 12), (1, 5), (5, 1)])
@pytest.mark.parametrize("gain", [1, 0.5])
def test_singular_values_of_a_matrix_are_the_root_of_out_over_in(shape: tuple[int, int], gain: float) -> None:
    outputs, inputs = shape
    layer = initialize(nn.Linear(inputs, outputs), "spectral", gain=gain)
    assert_all_are(singular_values(layer.weight), gain * math.sqrt(outputs / inputs))
    assert (layer.bias == 0).all()


@pytest.mark.parametrize(
    "layer, taps",
    [
        (nn.Conv1d(4, 10, 5), 5),
        (nn.Conv2d(10, 4, (3, 2)), 6),
        (nn.Conv3d(4, 4, 2), 8),
        (nn.ConvTranspose2d(6, 9, 3), 9),
        (nn.Conv2d(4, 4, 1), 1),
    ],
)
def test_each_of_k_taps_of_a_convolution_is_such_a_matrix_divided_by_k(layer: nn.Module, taps: int) -> None:
    """As in Modula's Conv2D, whose output is sqrt(out / in) / k^2 times the sum of k^2 orthogonal taps."""
    weight = initialize(layer, "spectral").weight.flatten(2)
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    assert weight.shape[2] == taps
    for tap in weight.unbind(2):
        assert_all_are(singular_values(tap), math.sqrt(layer.out_channels / layer.in_channels) / taps)


def test_a_convolution_makes_features_of_size_one_at_most() -> None:
    layer = initialize(nn.Conv2d(8, 32, 3, padding=1, padding_mode="circular"), "spectral", seed=1)
    images = torch.randn(4, 8, 6, 6)
    assert layer(images).square().mean() < images.square().mean()


def test_groups_are_matrices_of_their_own() -> None:
    for group in initialize(nn.Conv2d(8, 12, 1, groups=4), "spectral").weight.flatten(1).chunk(4):
        assert_all_are(singular_values(group), math.sqrt(3 / 2))
    depthwise = initialize(nn.Conv2d(5, 5, 3, groups=5), "spectral").weight
    torch.testing.assert_close(depthwise.abs(), torch.full_like(depthwise, 1 / 9))


def test_gates_and_projections_are_too() -> None:
    lstm = initialize(nn.LSTM(6, 10), "spectral")
    for key, inputs in {"weight_ih_l0": 6, "weight_hh_l0": 10}.items():
        for gate in lstm.get_parameter(key).chunk(4):
            assert_all_are(singular_values(gate), math.sqrt(10 / inputs))


def test_matrices_of_a_gpt() -> None:
    model = initialize(GPT(vocab_size=40, context_length=8, depth=2, width=32, heads=2, tied=False), "spectral")
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and "embedding" not in name and "qkv" not in name:
            outputs, inputs = parameter.shape
            assert_all_are(singular_values(parameter), math.sqrt(outputs / inputs))
    for attention in find_attentions(model):
        for projection in (attention.query, attention.key, attention.value):
            assert_all_are(singular_values(projection.weight), 1)
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_rows_of_an_embedding_have_norms_that_one_hot_inputs_need() -> None:
    model = nn.Sequential(nn.Embedding(50, 16, padding_idx=3), nn.Linear(16, 16))
    norms = initialize(model, "spectral", embedding=None)[0].weight.norm(dim=1)
    assert norms[3] == 0
    norms[3] = 4
    assert_all_are(norms, math.sqrt(16))


@pytest.mark.parametrize("embedding", [None, "default"])
def test_the_expected_standard_deviation_is_that_of_the_weights(embedding: str | None) -> None:
    layers = (nn.Linear(100, 300), nn.Linear(300, 50), nn.Conv2d(50, 40, 3), nn.Conv2d(40, 80, 3, groups=4))
    model = nn.Sequential(nn.Embedding(200, 100), *layers)
    frame = describe(model, "spectral", gain=2, embedding=embedding).set_index("parameter")["std_expected"]
    initialize(model, "spectral", gain=2, embedding=embedding)
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            assert parameter.square().mean().sqrt().item() == pytest.approx(frame[name], rel=0.03), name


def test_rates_of_a_wide_model_by_hand() -> None:
    """Out / in with SGD and 1 / in with Adam, over those at a quarter of the width; a bias has one input."""
    model = MLP(in_features=64, out_features=10, width=256, depth=2)
    spectral = initializer("spectral")
    assert spectral.learning_rates(model, adaptive=True) == {"linear2.weight": 1 / 4, "classifier.weight": 1 / 4}
    assert spectral.learning_rates(model, adaptive=False) == {
        "linear1.weight": 4,
        "linear1.bias": 4,
        "linear2.bias": 4,
        "classifier.weight": 1 / 4,
    }
    assert initializer("spectral", base_width=256).learning_rates(model, adaptive=False) == {}


@pytest.mark.parametrize(
    "model, settings, said",
    [
        (nn.Linear(3, 4), {"base_width": 0}, "spectral needs a base_width above 0, got 0"),
        (nn.Bilinear(3, 4, 5), {}, "weight is bilinear: spectral has no rule for two widths"),
        (nn.Linear(3, 4), {"bias": None}, "bias has shape .4,.: spectral needs at least two dimensions"),
    ],
)
def test_what_it_has_no_rule_for_is_refused(model: nn.Module, settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        initialize(model, "spectral", **settings)


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_a_gain_scales_the_rows_of_embeddings_of_both_kinds(kind: type[nn.Module]) -> None:
    weight = initialize(nn.Sequential(kind(7, 16), nn.Linear(16, 2)), "spectral", embedding=None, gain=0.5)[0].weight
    assert_all_are(weight.norm(dim=1), 0.5 * math.sqrt(16))
