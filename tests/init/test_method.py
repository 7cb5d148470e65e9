"""Functions that treat a module or a model: what they are given, and what they cannot disturb."""

import copy
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from programs import FAST, command
from torch import nn

from initbench.init import Batch, Layer, initialize, initializer, rows

IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(16) % 7
DATA = ("gradinit", "kraehenbuehl", "lsuv", "metainit", "patch_whitening", "weight_norm_data")
FEW_STEPS = {"gradinit": {"steps": 1}, "metainit": {"steps": 1}}


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 7)
    )


def each(module: nn.Module) -> None:
    """As people write for model.apply."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.normal_(module.weight, std=0.1)
        nn.init.ones_(module.bias)


def each_from_generator(module: nn.Module, generator: torch.Generator, *, std: float = 0.1) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        with torch.no_grad():
            module.weight.normal_(0, std, generator=generator)


def whole(model: nn.Module) -> None:
    for parameter in model.parameters():
        nn.init.uniform_(parameter)


def whole_from_streams(model: nn.Module, stream: Any) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(generator=stream(name))


@pytest.mark.parametrize("own", [each, each_from_generator, whole, whole_from_streams])
def test_draws_follow_the_seed_and_leave_the_global_generator_alone(own: Any) -> None:
    models = [convolutional() for _ in range(3)]
    torch.manual_seed(11)
    before = torch.get_rng_state()
    initialize(models[0], own, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    initialize(models[1], own, seed=0)
    initialize(models[2], own, seed=1)
    assert torch.equal(models[0][0].weight, models[1][0].weight)
    assert torch.equal(models[0][5].weight, models[1][5].weight)
    assert not torch.equal(models[0][0].weight, models[2][0].weight)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["model", "tensor"])
def test_a_function_that_is_interrupted_leaves_the_model_as_it_was(kind: str, raised: type[BaseException]) -> None:
    def of_model(model: nn.Module) -> None:
        raise raised

    def of_tensor(tensor: torch.Tensor, layer: Layer) -> None:
        if layer.name == "5.weight":
            raise raised
        tensor.fill_(7)

    model = convolutional()
    model[1].running_mean.fill_(3)
    model.append(nn.Linear(7, 3))  # on whose weight, the smallest, the scheme is tried
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(raised):
        initialize(model, of_model if kind == "model" else of_tensor)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_function_of_a_module_is_applied_to_every_module() -> None:
    model = initialize(convolutional(), each)
    for layer in (model[0], model[5]):
        assert (layer.bias == 1).all()
        assert float(layer.weight.detach().std()) == pytest.approx(0.1, rel=0.25)
    assert (model[1].weight == 1).all()  # by the policy
    listed = rows(initializer(each).apply(convolutional(), seed=0))
    assert {row["parameter"]: row["scheme"] for row in listed}["0.weight"] == "default, each"


def test_parameters_and_the_weights_it_starts_from_are_keys() -> None:
    wide, narrow = (initialize(convolutional(), each_from_generator, std=std, bias=2) for std in (0.2, 0.1))
    assert torch.allclose(wide[0].weight, 2 * narrow[0].weight)
    assert (wide[0].bias == 2).all()

    def scale(model: nn.Module) -> None:
        with torch.no_grad():
            model[0].weight.mul_(3)

    model = initialize(convolutional(), scale, weight="ones")
    assert (model[0].weight == 3).all()
    assert (model[5].weight == 1).all()


def test_a_function_is_given_the_batch_the_loss_and_what_it_returns_is_recorded() -> None:
    def own(model: nn.Module, batch: Batch, loss: Any) -> dict[str, float]:
        assert model.training
        assert not model[3].training  # dropout is off
        return {"loss": float(loss(model(batch.inputs), batch.targets).detach())}

    outcome = initializer(own, weight="zeros").apply(convolutional(), seed=0, batch=Batch(IMAGES, TARGETS))
    assert outcome.numbers["loss"] == pytest.approx(math.log(7))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(8, 6, num_layers=2, dropout=0.5),
        lambda: nn.GRU(8, 6, num_layers=2, dropout=0.5),
        lambda: nn.MultiheadAttention(8, 2, dropout=0.5),
    ],
)
def test_what_a_method_sees_does_not_depend_on_dropout_inside_of_a_layer(make: Any) -> None:
    """Recurrent layers and attentions drop units themselves, without a module for it."""
    layer, seen = make(), []

    def run_twice(model: nn.Module, batch: Batch) -> None:
        inputs = [batch.inputs] * (3 if isinstance(model, nn.MultiheadAttention) else 1)
        seen.extend(model(*inputs)[0] for _ in range(2))

    initializer(run_twice).apply(layer, seed=0, batch=Batch(IMAGES[:, 0]))
    assert torch.equal(*seen)
    assert layer.dropout == 0.5


def needs_x(x: nn.Module) -> None: ...


def needs_std(model: nn.Module, *, std: float) -> None: ...


def returns_three(model: nn.Module) -> int:
    return 3


def without_no_grad(model: nn.Module) -> None:
    next(model.parameters()).fill_(1)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (needs_x, {}, "needs_x takes x first; name its first argument tensor"),
        (needs_std, {}, "std of needs_std is missing: needs_std has no default for it"),
        (needs_std, {"sdt": 1.0}, "unknown key sdt of needs_std. Did you mean 'std'"),
        (needs_std, {"std": "big"}, "std of needs_std must be a number, got 'big'"),
        (each, {"std": 1.0}, "unknown key std of each"),
        (returns_three, {}, "returns_three may return a dict of numbers for the record, got int"),
        (without_no_grad, {}, "without_no_grad does not work with {}: a leaf Variable that requires grad"),
        ("normal", {"bias": whole}, "whole treats a whole model, so it cannot be the policy of a role"),
        ("normal", {"rules": [{"match": "0", "weight": each}]}, "each treats a whole model"),
    ],
)
def test_what_cannot_be_a_method_is_refused_and_nothing_is_written(
    function: Any, arguments: dict[str, Any], message: str
) -> None:
    model = convolutional()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        initialize(model, function, **arguments)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def reshapes(model: nn.Module) -> None:
    model[5] = nn.Linear(144, 5)


def adds(model: nn.Module) -> None:
    model.add_module("head", nn.Linear(7, 7))


def removes(model: nn.Module) -> None:
    del model[5]


@pytest.mark.parametrize("function", [reshapes, adds, removes])
def test_a_method_sets_values_and_leaves_the_structure(function: Any) -> None:
    model = convolutional()
    names = [name for name, _ in model.named_parameters()]
    with pytest.raises(
        ValueError, match=f"{function.__name__} changed which parameters Sequential has, or their shapes"
    ):
        initialize(model, function)
    assert [name for name, _ in model.named_parameters()] == names


def test_a_parameter_that_is_replaced_comes_back_as_values_in_the_old_one() -> None:
    def replaces(model: nn.Module) -> None:
        model[0].weight = nn.Parameter(torch.ones(4, 3, 3, 3))

    model = convolutional()
    weight = model[0].weight
    initialize(model, replaces)
    assert model[0].weight is weight  # optimizers hold on to it
    assert (weight == 1).all()


@pytest.mark.parametrize("name", [*DATA, "each"])
def test_a_method_disturbs_nothing_but_values(name: str) -> None:
    model = convolutional().eval()
    model[5].train()
    model[0].requires_grad_(False)
    model[5].weight.grad = torch.full_like(model[5].weight, 7.0)
    ran = []
    model[1].register_forward_hook(lambda *arguments: ran.append(arguments[0]))
    model(IMAGES)
    hooks = [dict(module._forward_hooks) for module in model]
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    pointers = [parameter.data_ptr() for parameter in model.parameters()]
    generator_state = torch.get_rng_state()
    initialize(model, each if name == "each" else name, batch=(IMAGES, TARGETS), **FEW_STEPS.get(name, {}))
    assert [module.training for module in model] == [False] * 5 + [True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] * 2 + [True] * 4
    assert (model[5].weight.grad == 7).all()
    assert all(parameter.grad is None for key, parameter in model.named_parameters() if key != "5.weight")
    assert [dict(module._forward_hooks) for module in model] == hooks
    assert ran[0] is model[1]
    assert all(module is not model[1] for module in ran[1:])  # the copy's
    assert all(torch.equal(value, buffers[key]) for key, value in model.named_buffers())
    assert [parameter.data_ptr() for parameter in model.parameters()] == pointers
    assert torch.equal(torch.get_rng_state(), generator_state)


def raises(model: nn.Module, batch: Batch) -> None:
    with torch.no_grad():
        model(batch.inputs)
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(5)
    raise ValueError("no good")


def leaves_nan(model: nn.Module, batch: Batch) -> None:
    with torch.no_grad():
        model(batch.inputs)
        model[5].weight[0, 0] = torch.nan


@pytest.mark.parametrize(
    "function, message", [(raises, "no good"), (leaves_nan, r"leaves_nan left values in 5\.weight that are not finite")]
)
def test_a_method_that_fails_leaves_the_model_as_it_was(function: Any, message: str) -> None:
    model = convolutional()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        initialize(model, function, batch=IMAGES, weight="orthogonal")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_buffers_come_back_from_a_method_without_data() -> None:
    def own(model: nn.Module) -> None:
        model[1].running_mean.fill_(3)

    assert (initialize(convolutional(), own)[1].running_mean == 3).all()


MINE = """
from torch import nn

def small_(tensor, *, std=0.5):
    nn.init.normal_(tensor, std=std)

def each(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.25)

def whole(model, batch, *, scale):
    model.linear1.weight.data.fill_(scale * len(batch.inputs))
"""


@pytest.mark.parametrize(
    "arguments, scheme, std, mean",
    [
        (["init=orthogonal", "init._target_=mine.small_", "+init.std=0.01", "init.bias=0.5"], "mine.small_", 0.01, 0),
        pytest.param(["init=lsuv", "init._target_=mine.each"], "default, mine.each", 0, 0.25, marks=pytest.mark.slow),
        (["init._target_=mine.whole", "+init.scale=0.5", "data.batch_size=16"], "default, mine.whole", 0, 8),
    ],
)
def test_from_the_command_line(tmp_path: Path, arguments: list[str], scheme: str, std: float, mean: float) -> None:
    """In the place of whatever option is chosen; what that option's own function would take is dropped."""
    (tmp_path / "mine.py").write_text(MINE)
    found = command(tmp_path, *FAST, *arguments, PYTHONPATH=str(tmp_path))
    assert found.returncode == 0, found.stderr
    listed = pd.read_parquet(next(tmp_path.rglob("parameters.parquet"))).set_index("parameter").loc["linear1.weight"]
    assert listed["scheme"] == scheme
    assert listed["std"] == pytest.approx(std, rel=0.1, abs=1e-6)
    assert listed["mean"] == pytest.approx(mean, abs=1e-3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param(
            ["init._target_=mine.smal_"], "init._target_='mine.smal_' cannot be imported", marks=pytest.mark.slow
        ),
        (["init._target_=mine.small_", "+init.sdt=1"], "unknown key sdt of mine.small_. Did you mean 'std'?"),
        pytest.param(
            ["init._target_=mine.whole"],
            "scale of mine.whole is missing: whole has no default",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    found = command(tmp_path, *FAST, *arguments, PYTHONPATH=str(tmp_path))
    assert found.returncode == 2
    assert message in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr


def test_a_function_that_returns_its_model_is_accepted_and_one_that_returns_another_is_not() -> None:
    def same(model: nn.Module) -> nn.Module:
        nn.init.ones_(model[5].weight)  # type: ignore[index, arg-type]  # a Sequential
        return model

    def other(model: nn.Module) -> nn.Module:
        return convolutional()

    model = convolutional()
    assert initializer(same).apply(model, seed=0).numbers == {}
    assert torch.equal(model[5].weight, torch.ones_like(model[5].weight))
    with pytest.raises(
        ValueError, match="other returns a new model; it must change the one that it is given, in place"
    ):
        initialize(model, other)


@pytest.mark.parametrize("returned", [3, "text", {"cost": "much"}, {"cost": torch.ones(2)}, [1.0]])
def test_a_function_may_return_nothing_but_numbers(returned: Any) -> None:
    def own(model: nn.Module) -> Any:
        return returned

    with pytest.raises(ValueError, match="own may return a dict of numbers for the record, got"):
        initialize(convolutional(), own)


def test_numbers_may_be_tensors() -> None:
    def own(model: nn.Module) -> Any:
        return {"cost": torch.tensor(1.5), "steps": 2}

    assert initializer(own).apply(convolutional(), seed=0).numbers == {"cost": 1.5, "steps": 2}


def add_module(module: nn.Module) -> None:
    module.extra = nn.Linear(2, 2)


def add_buffer(model: nn.Module) -> None:
    model.register_buffer("mask", torch.ones(3))


def resize_buffer(model: nn.Module) -> None:
    model[1].running_mean = torch.zeros(9)  # type: ignore[index, union-attr]  # a Sequential


@pytest.mark.parametrize("own", [add_module, add_buffer, resize_buffer])
def test_a_function_that_changes_what_a_model_has_is_refused(own: Any) -> None:
    model = convolutional()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=rf"{own.__name__} changed which (parameters|buffers) Sequential has"):
        initialize(model, own)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in after.items())
