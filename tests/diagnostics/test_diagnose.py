"""What diagnose says, against theory and against numbers worked out by hand."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations

import initbench
from initbench import diagnose
from initbench.model.mlp import MLP
from initbench.model.recurrent import gru, lstm
from initbench.model.resnet_cifar import CifarResNet


def gaussian(samples: int, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, *shape, generator=generator), torch.arange(samples) % 10


def mlp(depth: int, width: int, nonlinearity: str, init: str, **overrides: float) -> nn.Module:
    model = MLP(in_features=256, out_features=10, depth=depth, width=width, nonlinearity=nonlinearity, bias=False)
    return initbench.initialize(model, init, **overrides)


def test_kaiming_keeps_the_second_moment_of_a_relu_network() -> None:
    """He et al. (2015), eq. 10: variance 2 / fan_in keeps it; an input of moment 1 gives pre-activations of 2."""
    layers = diagnose(mlp(30, 512, "relu", "kaiming_normal"), gaussian(32, 1, 16, 16)).layers
    moments = layers["pre_second_moment"].iloc[:30]
    assert moments.iloc[0] == pytest.approx(2, rel=0.1)
    assert moments.iloc[29] / moments.iloc[0] == pytest.approx(1, rel=0.6)  # log-variance of about 5 depth / width


def test_xavier_halves_the_second_moment_at_every_relu_layer_and_that_of_the_gradient() -> None:
    layers = diagnose(mlp(20, 512, "relu", "xavier_normal"), gaussian(32, 1, 16, 16)).layers
    forward = math.log2(layers["pre_second_moment"].iloc[19] / layers["pre_second_moment"].iloc[1]) / 18
    backward = math.log2(layers["gradient_second_moment"].iloc[1] / layers["gradient_second_moment"].iloc[19]) / 18
    assert forward == pytest.approx(-1, abs=0.07)
    assert backward == pytest.approx(-1, abs=0.07)


def test_a_deep_linear_network_of_orthogonal_matrices_is_an_isometry() -> None:
    """Saxe et al. (2014): every singular value of the product of orthogonal matrices is 1."""
    layers = [nn.Linear(16, 16, bias=False) for _ in range(40)]
    model = initbench.initialize(nn.Sequential(*layers), "orthogonal", gain=1)
    diagnosis = diagnose(model, gaussian(8, 16))
    assert diagnosis.net["singular_values"] == pytest.approx([1.0] * 16, abs=1e-4)
    assert diagnosis.layers["pre_second_moment"].std() == pytest.approx(0, abs=1e-5)


def test_singular_values_are_those_of_the_matrix() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    inputs, labels = gaussian(6, 3, 4)
    values = diagnose(model, (inputs, labels % 5)).net["singular_values"]
    assert values == pytest.approx(torch.linalg.svdvals(model[1].weight).tolist(), rel=1e-5)


def test_batch_norm_has_the_jacobian_of_the_batchs_statistics_held_constant() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    inputs, labels = gaussian(64, 6)
    hidden = model[0](inputs)
    by_hand = model[0].weight / torch.sqrt(hidden.var(dim=0) + model[1].eps)[:, None]
    values = diagnose(model, (inputs, labels % 4)).net["singular_values"]
    assert values == pytest.approx(torch.linalg.svdvals(by_hand).tolist(), rel=1e-5)


def test_dead_units_and_saturated_entries_of_a_layer_made_by_hand() -> None:
    """One of four units is dead, one is off for half of the samples, two are always on."""
    model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0], [1.0], [0.0], [0.0]]))
        model[0].bias.copy_(torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    inputs = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    layers = diagnose(model, (inputs, torch.tensor([0, 1, 0, 1]))).layers
    assert layers.loc["0", "dead"] == 0.25
    assert layers.loc["0", "saturated"] == 0.375
    assert layers.loc["0", "pre_mean"] == pytest.approx(0.5)
    assert layers.loc["0", "pre_second_moment"] == pytest.approx((1 + 2.5 + 1 + 4) / 4)
    assert layers.loc["0", "post_mean"] == pytest.approx((0 + 0.75 + 1 + 2) / 4)
    assert layers.loc["0", "post_second_moment"] == pytest.approx((0 + 1.25 + 1 + 4) / 4)
    assert math.isnan(layers.loc["2", "dead"])


def test_the_units_of_a_convolution_are_its_channels() -> None:
    """A channel that is off in one place and on in another is not dead."""
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1, 1))
        model[0].bias.copy_(torch.tensor([0.0, -1.0, 1.0]))
    inputs = torch.tensor([[[[-1.0, -1.0], [-1.0, 1.0]]]]).repeat(2, 1, 1, 1)
    layers = diagnose(model, (inputs, torch.tensor([0, 1]))).layers
    assert layers.loc["0", "dead"] == pytest.approx(1 / 3)
    assert layers.loc["0", "saturated"] == pytest.approx((3 + 4) / 12)


def test_the_first_activation_after_a_layer_is_its_own() -> None:
    """An activation before all layers belongs to none, and the second after a layer changes nothing."""
    model = nn.Sequential(nn.Tanh(), nn.Linear(1, 2), nn.ReLU(), nn.Tanhshrink(), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.fill_(1.0)
        model[1].bias.copy_(torch.tensor([1.0, -1.0]))
    inputs = torch.tensor([[-1.0], [0.5], [1.0]])
    layers = diagnose(model, (inputs, torch.tensor([0, 1, 0]))).layers
    outputs = model[:3](inputs).detach()
    assert layers.loc["1", "dead"] == 0.5
    assert layers.loc["1", "saturated"] == 0.5
    assert layers.loc["1", "post_mean"] == pytest.approx(float(outputs.mean()))
    assert layers.loc["1", "post_second_moment"] == pytest.approx(float(outputs.square().mean()))
    assert layers.loc["4", ["post_mean", "post_second_moment", "dead", "saturated"]].isna().all()


def test_saturation_of_tanh_is_where_its_derivative_is_small() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh(), nn.Linear(1, 2))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    # 1 - tanh(2.18)^2 = 0.0500 at z = 2.1783
    inputs = torch.tensor([[0.0], [2.1], [2.2], [-3.0]])
    assert diagnose(model, (inputs, torch.tensor([0, 1, 0, 1]))).layers.loc["0", "saturated"] == 0.5


def test_gradients_of_a_linear_layer_by_hand() -> None:
    """Loss = mean of outputs, so d/dout = 1 / (N out), and dW = that times the column sums of the inputs."""
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    inputs = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    row = diagnose(model, (inputs, torch.zeros(2)), loss=lambda out, _: out.mean()).layers.iloc[0]
    assert row["gradient_second_moment"] == pytest.approx(1 / 16)
    gradient = [1.0, 0.5, 1.0, 0.5]  # (4, 2) / 4 in both rows
    assert row["weight_gradient_norm"] == pytest.approx(math.hypot(*gradient))
    assert row["gradient_to_weight"] == pytest.approx(math.sqrt((2.5 / 4) / (30 / 4)))


def test_what_underflows_when_squared_is_still_seen() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(1e-30 * torch.eye(4))
        model[1].weight.copy_(torch.eye(4))
    inputs, labels = gaussian(8, 4)
    diagnosis = diagnose(model, (inputs, labels % 4))
    moment = float(inputs.double().square().mean()) * 1e-60
    assert diagnosis.layers["pre_second_moment"].tolist() == pytest.approx([moment, moment], rel=1e-4)
    same = diagnosis.net["input_correlation"]
    assert diagnosis.readings[0].correlation == pytest.approx(same, abs=1e-5)


def test_equal_inputs_stay_equal_through_depth() -> None:
    inputs = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1)).repeat(8, 1, 1, 1)
    diagnosis = diagnose(mlp(5, 64, "relu", "kaiming_normal"), (inputs, torch.arange(8)))
    assert diagnosis.net["input_correlation"] == pytest.approx([1.0] * 4, abs=1e-5)
    assert diagnosis.layers["correlation"].tolist() == pytest.approx([1.0] * 6, abs=1e-5)


@pytest.mark.parametrize("sigma_w, chaotic", [(2.0, True), (0.9, False)])
def test_tanh_decorrelates_in_the_chaotic_phase_alone(sigma_w: float, chaotic: bool) -> None:
    """Poole et al. (2016): without biases c* = 0 at sigma_w^2 = 4; below 1 the signal shrinks until tanh is linear."""
    inputs, labels = gaussian(16, 1, 16, 16)
    inputs = inputs[:1] + 0.3 * inputs  # pairs that are much alike
    model = mlp(20, 512, "tanh", "kaiming_normal", gain=sigma_w)
    diagnosis = diagnose(model, (inputs, labels))
    start = sum(diagnosis.net["input_correlation"]) / 8
    end = diagnosis.layers["correlation"].iloc[19]
    assert start > 0.85
    assert abs(end) < 0.15 if chaotic else end == pytest.approx(start, abs=0.1)


def test_the_loss_of_a_zero_classifier_is_that_of_chance() -> None:
    model = mlp(2, 32, "relu", "kaiming_normal")
    with torch.no_grad():
        model.classifier.weight.zero_()  # type: ignore[union-attr, operator]  # an nn.Linear
    diagnosis = diagnose(model, gaussian(16, 1, 16, 16))
    assert diagnosis.net["loss"] == pytest.approx(math.log(10))
    assert diagnosis.net["ln_classes"] == pytest.approx(math.log(10))
    assert math.isinf(diagnosis.layers.loc["classifier", "gradient_to_weight"])  # a gradient of no weight
    assert diagnosis.layers.loc["linear1", "weight_gradient_norm"] == 0
    assert diagnosis.net["singular_values"] == [0.0] * 10


def test_nothing_of_the_model_changes() -> None:
    """Neither modes, nor statistics of norms, nor gradients, nor in-place flags, nor random numbers."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(784, 10)
    )
    model.eval()
    model[1].train()
    model[0].weight.requires_grad_(False)
    model[5].weight.grad = torch.ones_like(model[5].weight)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    diagnose(model, gaussian(8, 1, 16, 16))
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model[5].weight.grad, torch.ones_like(model[5].weight))
    assert model[0].weight.grad is None
    assert not model[0].weight.requires_grad
    assert model[2].inplace
    assert model[1].momentum == 0.1
    assert not any(module._forward_hooks for module in model.modules())


def test_the_same_seed_says_the_same_and_another_follows_other_pairs() -> None:
    model, batch = mlp(3, 32, "relu", "kaiming_normal"), gaussian(16, 1, 16, 16)
    a, b, c = (diagnose(model, batch, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(a.layers, b.layers)
    assert a.net["input_correlation"] == b.net["input_correlation"] != c.net["input_correlation"]


class InPlace(nn.Module):
    """Adds to a layer's output in place, and uses the layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc(x)
        hidden += 100
        return self.fc(hidden)


def test_a_layer_that_runs_twice_has_two_rows_and_its_output_is_read_before_it_changes() -> None:
    model = InPlace()
    inputs, labels = gaussian(8, 4)
    layers = diagnose(model, (inputs, labels % 4)).layers
    assert layers.index.tolist() == ["fc", "fc (2)"]
    assert layers.loc["fc", "pre_mean"] == pytest.approx(model.fc(inputs).mean().item(), abs=1e-5)
    assert layers.loc["fc", "weight_gradient_norm"] == layers.loc["fc (2)", "weight_gradient_norm"]
    output = model.fc(inputs).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model.fc(output + 100), labels % 4), output)
    assert layers.loc["fc", "gradient_second_moment"] == pytest.approx(float(gradient.square().mean()), rel=1e-4)


def test_the_weight_behind_a_parametrization_is_the_one_that_counts() -> None:
    plain = nn.Linear(5, 3)
    normed = parametrizations.weight_norm(copy.deepcopy(plain))
    batch = gaussian(8, 5)
    batch = batch[0], batch[1] % 3
    pd.testing.assert_frame_equal(diagnose(plain, batch).layers, diagnose(normed, batch).layers, rtol=1e-4)


def test_layers_come_in_the_order_of_execution() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    swapped = type("Swapped", (nn.Sequential,), {"forward": lambda self, x: self[0](self[1](x))})(*model)
    inputs, labels = gaussian(8, 4)
    assert diagnose(swapped, (inputs, labels % 4)).layers.index.tolist() == ["1", "0"]


@pytest.mark.parametrize("make", [lstm, gru])
def test_recurrent_networks_have_a_jacobian(make: object) -> None:
    model = make(in_channels=1, image_size=16, num_classes=10, hidden_size=8)  # type: ignore[operator]  # either
    diagnosis = diagnose(model, gaussian(8, 1, 16, 16))
    assert diagnosis.missing == {}
    assert diagnosis.layers.index.tolist() == ["recurrent", "classifier"]
    assert diagnosis.layers["weight_gradient_norm"].gt(0).all()


def test_attention_owns_the_weight_of_the_projection_that_it_never_calls() -> None:
    attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)
    model = nn.Sequential(nn.Flatten(2), nn.Linear(16, 8), attention, nn.Flatten(), nn.Linear(8, 10))
    batch = gaussian(8, 1, 4, 4)
    diagnosis = diagnose(model, batch)
    assert diagnosis.missing == {}
    assert diagnosis.layers.index.tolist() == ["1", "2.self_attn", "2.linear1", "2.linear2", "4"]
    still = copy.deepcopy(model)
    for module in still.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    F.cross_entropy(still(batch[0]), batch[1]).backward()
    own = still[2].self_attn
    norm = torch.cat([own.in_proj_weight.grad.flatten(), own.out_proj.weight.grad.flatten()]).norm()
    assert diagnosis.layers.loc["2.self_attn", "weight_gradient_norm"] == pytest.approx(float(norm), rel=1e-4)


def test_a_residual_network_with_batch_norm_has_everything() -> None:
    model = CifarResNet(in_channels=1, image_size=16, num_classes=10, depth=8, width=4)
    diagnosis = diagnose(model, gaussian(8, 1, 16, 16))
    assert diagnosis.missing == {}
    hidden = diagnosis.layers.iloc[:-1]
    assert hidden.notna().all(axis=None)
    assert hidden["saturated"].between(0.2, 0.8).all()


def test_what_a_model_cannot_give_is_missing_and_the_rest_is_there() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 10))
    diagnosis = diagnose(model, (torch.arange(24).view(8, 3) % 7, torch.arange(8)))
    assert "inputs are torch.int64" in diagnosis.missing["singular_values"]
    assert diagnosis.net["loss"] > 0
    assert "inputs are torch.int64" in diagnosis.missing["input_correlation"]
    assert "input_correlation" not in diagnosis.net
    assert "inputs are torch.int64" in str(diagnosis)
    assert "correlation of inputs" not in str(diagnosis)
    mean = next(line for line in diagnosis.figure().data if line.name == "mean")
    assert math.isnan(mean.y[0])
    assert all(map(math.isfinite, mean.y[1:]))
    untracked = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False))
    inputs, labels = gaussian(8, 4)
    assert "ties the samples" in diagnose(untracked, (inputs, labels % 4)).missing["singular_values"]


def test_instance_norm_without_running_statistics_has_a_jacobian() -> None:
    """It normalizes each sample by itself, unlike batch norm."""
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 5))
    inputs, labels = gaussian(6, 1, 4, 4)
    diagnosis = diagnose(model, (inputs, labels % 5))
    assert diagnosis.missing == {}
    assert len(diagnosis.net["singular_values"]) == 5


def test_half_precision_is_diagnosed_in_float32() -> None:
    model = mlp(2, 16, "relu", "kaiming_normal")
    half = copy.deepcopy(model).bfloat16()
    rounded = copy.deepcopy(half).float()
    batch = gaussian(8, 1, 16, 16)
    pd.testing.assert_frame_equal(diagnose(half, batch).layers, diagnose(rounded, batch).layers)


@pytest.mark.parametrize("error", [KeyError("mask\nof all"), NotImplementedError(), RuntimeError("one\ntwo")])
def test_a_layer_that_fails_is_named(error: Exception) -> None:
    class Broken(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            raise error

    with pytest.raises(ValueError, match=r"^diagnose fails in layer 1, a Broken: .*$"):
        diagnose(nn.Sequential(nn.Flatten(), Broken(4, 3)), gaussian(4, 4))


@pytest.mark.parametrize("loss", ["mse", lambda outputs, targets: 1 / 0, lambda outputs, targets: outputs[9, 9]])
def test_a_loss_that_fails_is_named(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"^the loss fails: \w+Error: .*$"):
        diagnose(nn.Linear(4, 3), gaussian(4, 4), loss=loss)


def test_weights_without_memory_or_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"1\.weight is on the meta device"):
        diagnose(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3, device="meta")), gaussian(4, 4))
    with pytest.raises(ValueError, match=r"0\.weight is lazy"):
        diagnose(nn.Sequential(nn.LazyLinear(4)), gaussian(4, 4))


def test_outputs_without_gradient_are_told_of() -> None:
    class Frozen(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(input)

    with pytest.raises(ValueError, match="the loss does not depend on the weights"):
        diagnose(Frozen(4, 3), (torch.zeros(4, 4), torch.zeros(4, dtype=torch.long)))


def test_one_number_per_sample_has_a_jacobian() -> None:
    model = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    diagnosis = diagnose(model, (gaussian(4, 4)[0], torch.ones(4)), loss=F.mse_loss)
    assert diagnosis.missing == {}
    assert diagnosis.net["singular_values"] == pytest.approx([float(model[0].weight.detach().norm())], rel=1e-5)


def test_a_packed_sequence_is_read() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 10)

        def forward(self, inputs: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor([3, 2, 1, 1]), batch_first=True)
            return self.head(self.lstm(packed)[1][0][-1])  # type: ignore[no-any-return]  # a Tensor

    layers = diagnose(Packed(), gaussian(4, 3, 4)).layers
    assert list(layers.index) == ["lstm", "head"]
    assert layers["pre_second_moment"].gt(0).all()


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_a_wrapped_model_is_diagnosed_as_the_bare_one(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = mlp(2, 16, "relu", "kaiming_normal")
    batch = gaussian(8, 1, 16, 16)
    pd.testing.assert_frame_equal(diagnose(wrap(model), batch).layers, diagnose(model, batch).layers)


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(4, 3),
        (torch.zeros(4, 3), None),
        (torch.zeros(1, 3), torch.zeros(1)),
        (torch.zeros(4, 3), torch.zeros(3)),
    ],
)
def test_a_batch_that_is_none_is_refused(batch: object) -> None:
    with pytest.raises(ValueError, match="diagnose needs"):
        diagnose(nn.Linear(3, 3), batch)  # type: ignore[arg-type]  # what a person may try
