"""LSUV: unit variance of every layer, against a naive version with one full forward pass per measurement."""

import copy
from typing import Any

import pytest
import torch
from running import MODELS, convolutional, first_outputs, images
from torch import nn
from torch.nn.utils import parametrizations

from initbench.init import Batch, initialize, initializer


def naive(model: nn.Module, inputs: torch.Tensor, tolerance: float) -> None:
    """Algorithm 1 of the paper as it is written, for modules that run once and are not parametrized."""
    for name in first_outputs(copy.deepcopy(model), inputs):
        for _ in range(10):
            variance = first_outputs(copy.deepcopy(model), inputs)[name].var(correction=0)
            if abs(variance - 1) < tolerance:
                break
            with torch.no_grad():
                model.get_submodule(name).weight /= variance.sqrt()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("tolerance", [0.1, 1e-4])
def test_every_layer_has_variance_one(kind: str, tolerance: float) -> None:
    model = initialize(MODELS[kind](), "lsuv", batch=images(), tolerance=tolerance)
    outputs = first_outputs(model, images())
    if kind == "tied":  # the weight is the first layer's
        assert outputs.pop("second").var(correction=0) != pytest.approx(1, abs=0.1)
    for name, output in outputs.items():
        assert float(output.var(correction=0)) == pytest.approx(1, abs=tolerance + 1e-5), name


@pytest.mark.parametrize("kind", ["convolutional", "resnet20", "vit", "lstm", "attention"])
def test_one_pass_gives_what_a_pass_per_measurement_gives(kind: str) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]()
    expected = copy.deepcopy(model)
    initialize(expected, "orthogonal", gain=1.0, seed=5)
    naive(expected, images(), tolerance=0.05)
    initialize(model, "lsuv", batch=images(), seed=5, tolerance=0.05)
    # What no scheme fills (class tokens) is drawn by the module itself, and equal in both as one seed was used.
    for (name, parameter), other in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-4, atol=1e-6, msg=name)


def test_a_layer_within_the_tolerance_stays() -> None:
    layer = nn.Sequential(nn.Linear(3, 3))
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) * 1.02
    filled = initialize(copy.deepcopy(layer), "orthogonal", gain=1.0)
    outcome = initializer("lsuv", tolerance=0.5).apply(layer, seed=0, batch=Batch(inputs))
    assert torch.equal(layer[0].weight, filled[0].weight)
    assert outcome.numbers == {"steps": 1, "rescalings": 0}
    outcome = initializer("lsuv", tolerance=1e-5).apply(layer, seed=0, batch=Batch(inputs))
    assert outcome.numbers["rescalings"] >= 1
    assert float(layer(inputs).detach().var(correction=0)) == pytest.approx(1, abs=2e-5)


def test_what_is_scaled_keeps_its_direction() -> None:
    filled = initialize(convolutional(), "orthogonal", gain=1.0)
    treated = initialize(convolutional(), "lsuv", batch=images())
    for (name, before), after in zip(filled.named_parameters(), treated.parameters(), strict=True):
        if before.dim() > 1:
            cosine = torch.cosine_similarity(before.detach().flatten(), after.detach().flatten(), dim=0)
            assert float(cosine) == pytest.approx(1, abs=1e-5), name
        else:
            assert torch.equal(before, after), name


def test_attention_and_recurrent_weights_stay_as_filled() -> None:
    for kind in ("attention", "lstm"):
        filled = dict(initialize(MODELS[kind](), "orthogonal", gain=1.0).named_parameters())
        treated = dict(initialize(MODELS[kind](), "lsuv", batch=images()).named_parameters())
        stay = [name for name in filled if "self_attn" in name or "recurrent" in name]
        assert stay
        assert all(torch.equal(filled[name], treated[name]) for name in stay)
        assert any(not torch.equal(filled[name], treated[name]) for name in filled)


def test_an_output_layer_tied_to_the_embedding_stays_as_the_embedding_is() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.hidden, self.output = nn.Embedding(11, 6), nn.Linear(6, 6), nn.Linear(6, 11)
            self.output.weight = self.embedding.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.hidden(self.embedding(x)))

    words = torch.arange(22).view(2, 11) % 11
    model = initialize(Language(), "lsuv", batch=words, embedding={"name": "normal", "std": 0.1})
    filled = initialize(Language(), "orthogonal", gain=1.0, embedding={"name": "normal", "std": 0.1})
    assert model.output.weight is model.embedding.weight
    assert torch.equal(model.embedding.weight, filled.embedding.weight)
    outputs = first_outputs(model, words)
    assert float(outputs["hidden"].var(correction=0)) == pytest.approx(1, abs=0.1)


def test_weight_normalized_layers_keep_their_directions() -> None:
    filled = initialize(MODELS["weight_norm"](), "orthogonal", gain=1.0)
    treated = initialize(MODELS["weight_norm"](), "lsuv", batch=images())
    for index in (0, 2, 5):
        before, after = filled[index].parametrizations.weight, treated[index].parametrizations.weight
        assert torch.equal(before.original1, after.original1)
        ratio = after.original0 / before.original0
        assert torch.allclose(ratio, ratio.mean().expand_as(ratio))


def test_the_original_stays_what_it_is_but_for_its_values() -> None:
    model = convolutional().eval()
    model[0].weight.requires_grad_(False)
    pointer, before = model[0].weight.data_ptr(), model[0].weight.clone()
    generator_state = torch.get_rng_state()
    initialize(model, "lsuv", batch=images())
    assert not model.training
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert (model[3].running_mean == 0).all()
    assert model[3].num_batches_tracked == 0
    assert model[0].weight.data_ptr() == pointer
    assert not torch.equal(model[0].weight, before)  # frozen, and initialized all the same
    assert torch.equal(torch.get_rng_state(), generator_state)


def test_the_same_seed_gives_the_same_bits() -> None:
    a, b, c = (initialize(MODELS["resnet20"](), "lsuv", batch=images(), seed=seed) for seed in (1, 1, 2))
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y)
    assert all(not torch.equal(x, z) for x, z in zip(a.parameters(), c.parameters(), strict=True) if x.dim() > 1)


def test_a_model_in_half_precision_is_measured_in_single() -> None:
    """Its weights are rounded when they are filled and again when they are scaled: twice half a unit of 2^-8."""
    whole = initialize(convolutional(), "lsuv", batch=images().bfloat16().float(), tolerance=1e-3)
    half = initialize(convolutional().bfloat16(), "lsuv", batch=images().bfloat16(), tolerance=1e-3)
    for a, b in zip(whole.parameters(), half.parameters(), strict=True):
        assert b.dtype == torch.bfloat16
        torch.testing.assert_close(a, b.float(), rtol=2**-6, atol=1e-4)
    for name, output in first_outputs(half.float(), images().bfloat16().float()).items():
        assert float(output.var(correction=0)) == pytest.approx(1, abs=0.02), name


class Standardized(nn.Linear):
    """A layer that normalizes its weight itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, 5 * self.weight / self.weight.norm())


@pytest.mark.parametrize(
    "build, change, message",
    [
        (convolutional, {"weight": "zeros"}, "layer 0 is dead: its output is the same on the whole batch"),
        (lambda: nn.Sequential(nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 4)), {"bias": -1e4}, "layer 2 is dead"),
        (convolutional, {"weight": {"name": "constant", "value": 3e38}}, "output of layer 0 on the batch is not fin"),
        (convolutional, {"tolerance": 0}, "tolerance must be positive"),
        (convolutional, {"max_tries": 0}, "max_tries at least 1"),
        (lambda: nn.Sequential(Standardized(32, 4)), {}, "does not become 1 by scaling its weight"),
        (lambda: parametrizations.spectral_norm(nn.Linear(32, 4)), {}, "does not become 1 by scaling its weight"),
        (lambda: parametrizations.orthogonal(nn.Linear(32, 32)), {}, "does not become 1 by scaling its weight"),
        (lambda: nn.Sequential(nn.BatchNorm2d(3)), {}, "no linear or convolutional layer of Sequential runs"),
    ],
)
def test_what_cannot_be_scaled_is_one_clear_error(build: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(build(), "lsuv", batch=images(), **change)


@pytest.mark.parametrize(
    "batch, message",
    [
        (None, "lsuv needs data"),
        (images(1), "at least 2 samples, got 1"),
        (torch.full((4, 3, 32, 32), torch.nan), "not finite"),
        (torch.zeros(4, 3, 32, 32), "layer 0 is dead"),
    ],
)
def test_a_batch_that_is_missing_or_unfit_is_refused(batch: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(convolutional(), "lsuv", batch=batch)


class Shrunk(nn.Linear):
    """A layer that normalizes its weight itself, to outputs that are too small."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, 0.3 * self.weight / self.weight.norm())


@pytest.mark.parametrize("name", ["lsuv", "weight_norm_data", "kraehenbuehl"])
def test_an_output_that_stays_too_small_is_refused_as_one_that_stays_too_large(name: str) -> None:
    with pytest.raises(ValueError, match="does not become 1 by scaling its weight"):
        initialize(nn.Sequential(Shrunk(32, 4, bias=False)), name, batch=images()[:, 0, 0])


@pytest.mark.parametrize("name", ["lsuv", "weight_norm_data"])
def test_an_output_that_differs_only_by_rounding_is_dead(name: str) -> None:
    inputs = 1000 + 1e-5 * torch.randn(64, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="is dead: its output is the same on the whole batch"):
        initialize(nn.Sequential(nn.Linear(6, 1, bias=False)).double(), name, batch=inputs, weight="ones")


def test_a_model_in_which_only_an_embedding_runs_has_nothing_to_scale() -> None:
    with pytest.raises(ValueError, match="no linear or convolutional layer of Sequential runs"):
        initialize(nn.Sequential(nn.Embedding(5, 3), nn.LayerNorm(3)), "lsuv", batch=torch.arange(4).view(2, 2))


class Keyword(nn.Module):
    """Calls its layers by the name of their argument."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 5, stride=3), nn.Linear(400, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(input=self.conv(input=x).relu().flatten(1))


@pytest.mark.parametrize("name", ["lsuv", "weight_norm_data", "kraehenbuehl", "patch_whitening"])
def test_layers_may_be_called_by_the_name_of_their_argument(name: str) -> None:
    found = Keyword()
    initialize(found, name, weight="normal", batch=images(), seed=1)
    outputs = first_outputs(found, images())
    if name == "patch_whitening":
        assert torch.equal(found.conv.weight[:2], -found.conv.weight[2:])
    else:
        assert float(outputs["linear"].std(correction=0)) == pytest.approx(1, abs=0.1)
