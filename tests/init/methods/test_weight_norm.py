"""The data-dependent initialization of weight normalization, against the paper's formulas one layer at a time."""

import copy
from typing import Any

import pytest
import torch
from running import MODELS, convolutional, first_outputs, images, units_first, weight_normed
from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from initbench.init import initialize


@pytest.mark.parametrize("kind", MODELS)
def test_every_unit_has_mean_zero_and_deviation_one(kind: str) -> None:
    model = initialize(MODELS[kind](), "weight_norm_data", batch=images())
    outputs = first_outputs(model, images())
    if kind == "tied":
        del outputs["second"]  # the weight is the first layer's
    without_bias = 0
    for name, output in outputs.items():
        module = model.get_submodule(name)
        units = units_first(output, module)
        torch.testing.assert_close(units.std(1, correction=0), torch.ones(len(units)), rtol=1e-4, atol=1e-4, msg=name)
        if module.bias is None:
            without_bias += 1
            assert (units.mean(1).abs() > 1e-3).any()
        else:
            torch.testing.assert_close(units.mean(1), torch.zeros(len(units)), rtol=0, atol=1e-4, msg=name)
    assert without_bias == {"convolutional": 1, "resnet20": 19}.get(kind, 0)


def naive(model: nn.Module, inputs: torch.Tensor) -> None:
    """Equations 5 and 6, V / |V| written out, one full forward pass for each layer."""
    with torch.no_grad():
        for name in first_outputs(copy.deepcopy(model), inputs):
            module: Any = model.get_submodule(name)
            weight = module.weight
            if isinstance(module, _ConvTransposeNd):  # (in, out / groups, *kernel)
                dims = (1, *range(3, weight.dim() + 1))
                grouped = weight.view(module.groups, -1, *weight.shape[1:])
                norm = grouped.pow(2).sum(dims, keepdim=True).sqrt()
                weight.copy_((grouped / norm).reshape(weight.shape))
            else:
                weight.copy_(weight / weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1)))
            if module.bias is not None:
                module.bias.zero_()
            t = units_first(first_outputs(copy.deepcopy(model), inputs)[name], module)
            mean, std = t.mean(1), t.std(1, correction=0)
            if isinstance(module, _ConvTransposeNd):
                grouped = weight.view(module.groups, -1, *weight.shape[1:])
                shape = (module.groups, 1, -1, *[1] * (weight.dim() - 2))
                weight.copy_((grouped / std.view(shape)).reshape(weight.shape))
            else:
                weight.copy_(weight / std.view(-1, *[1] * (weight.dim() - 1)))
            if module.bias is not None:
                module.bias.copy_(-mean / std)


@pytest.mark.parametrize("kind", ["convolutional", "resnet20", "vit", "lstm", "attention"])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_one_pass_gives_what_the_formulas_give_layer_by_layer(kind: str, bias: float) -> None:
    """Also where biases were filled with something: the formulas start without."""
    model = MODELS[kind]()
    inside = {"bias": bias} if kind in ("lstm", "attention") else {}  # biases of cells and projections stay
    expected = initialize(copy.deepcopy(model), "normal", std=0.05, seed=5, **inside)
    naive(expected, images())
    initialize(model, "weight_norm_data", batch=images(), bias=bias, seed=5)
    for (name, parameter), other in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-3, atol=1e-4, msg=name)


def test_weight_normalized_layers_keep_v_and_get_g() -> None:
    model = initialize(weight_normed(), "weight_norm_data", batch=images(), seed=2)
    filled = initialize(weight_normed(), "normal", std=0.05, seed=2)
    for index, dim in ((0, 0), (2, 1)):
        g, v = model[index].parametrizations.weight.original0, model[index].parametrizations.weight.original1
        assert torch.equal(v, filled[index].parametrizations.weight.original1)
        torch.testing.assert_close(torch._weight_norm(v, g, dim), model[index].weight)
    # Ordinary layers get the same weights, and so does the last layer, which has one g for all units.
    ordinary = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4096, 5)
    )
    initialize(ordinary, "weight_norm_data", batch=images(), seed=2)
    for index in (0, 2, 5):
        torch.testing.assert_close(model[index].weight, ordinary[index].weight, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(model[index].bias, ordinary[index].bias, rtol=1e-3, atol=1e-4)


def test_bilinear_layers_too() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bilinear = nn.Bilinear(4, 3, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bilinear(x[:, :4], x[:, 4:])

    inputs = torch.randn(32, 7, generator=torch.Generator().manual_seed(0))
    output = initialize(Model(), "weight_norm_data", batch=inputs)(inputs).detach()
    assert output.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(output.std(0, correction=0), torch.ones(5))


def test_buffers_modes_and_flags_stay_and_so_do_the_bits() -> None:
    model = convolutional().eval()
    model[0].requires_grad_(False)
    initialize(model, "weight_norm_data", batch=images())
    other = initialize(convolutional(), "weight_norm_data", batch=images())
    assert not model.training
    assert [p.requires_grad for p in model.parameters()][:3] == [False, False, True]
    assert model[3].num_batches_tracked == 0
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_half_precision() -> None:
    model = initialize(convolutional().half(), "weight_norm_data", batch=images().half())
    assert all(parameter.dtype == torch.float16 for parameter in model.parameters())
    for name, output in first_outputs(model.float(), images().half().float()).items():
        std = units_first(output, model.get_submodule(name)).std(1, correction=0)
        torch.testing.assert_close(std, torch.ones_like(std), rtol=0.01, atol=0.01)


def test_a_dead_unit_is_named() -> None:
    class OneDead(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * torch.tensor([1.0, 1.0, 0.0, 1.0])

    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="unit 2 of layer 0 is dead"):
        initialize(nn.Sequential(OneDead(6, 4)), "weight_norm_data", batch=inputs)
    with pytest.raises(ValueError, match="unit 0 of layer 0 is dead"):  # equal samples
        initialize(nn.Sequential(nn.Linear(6, 4)), "weight_norm_data", batch=inputs[:1].expand(8, -1))
    fixed = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4))
    with pytest.raises(ValueError, match="does not become 1 by scaling"):
        initialize(nn.Sequential(fixed), "weight_norm_data", batch=inputs)


def test_a_layer_that_stores_its_inputs_first_is_scaled_by_its_outputs() -> None:
    """As GPT-2's Conv1D; it is square, so that both ways have the right shape."""
    pytest.importorskip("transformers")
    from transformers.pytorch_utils import Conv1D

    inputs = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 6)
    output = initialize(nn.Sequential(Conv1D(5, 5)), "weight_norm_data", batch=inputs)(inputs).detach()
    assert output.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(output.std(0, correction=0), torch.ones(5))


def test_grouped_transposed_convolutions_have_their_own_units() -> None:
    layer = nn.ConvTranspose2d(6, 8, 2, groups=2)
    inputs = images()[:, :, :8, :8].repeat(1, 2, 1, 1) * torch.arange(1, 7).view(6, 1, 1)
    output = initialize(nn.Sequential(layer), "weight_norm_data", batch=inputs)(inputs).detach()
    units = output.movedim(1, 0).flatten(1)
    torch.testing.assert_close(units.std(1, correction=0), torch.ones(8), rtol=1e-4, atol=0)
    torch.testing.assert_close(units.mean(1), torch.zeros(8), rtol=0, atol=1e-5)
