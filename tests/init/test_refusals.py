"""Whatever does not work is one ValueError that names the layer, and leaves the model as it was."""

import copy
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from every_option import NAMES
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import initbench
from initbench.init import Factors, describe, initialize, initializer
from initbench.init.declarations import optimizer_rule
from initbench.init.roles import walk


class Own(nn.Module):
    """A layer of one's own, with a weight of any shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


ODD: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 4),
    "one row": lambda: nn.Linear(6, 1),
    "one column": lambda: nn.Linear(1, 6),
    "no rows": lambda: nn.Linear(4, 0),
    "no columns": lambda: Own(4, 0),
    "six axes": lambda: Own(2, 2, 2, 2, 2, 2),
    "vector": lambda: Own(5),
    "number": Own,
    "1-d convolution": lambda: nn.Conv1d(3, 4, 3),
    "2-d convolution": lambda: nn.Conv2d(3, 4, 3),
    "3-d convolution": lambda: nn.Conv3d(3, 4, 3),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 3, groups=2),
    "bilinear": lambda: nn.Bilinear(3, 4, 5),
    "embedding": lambda: nn.Embedding(5, 3, padding_idx=1),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "cross-attention": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
    "lstm": lambda: nn.LSTM(3, 4, proj_size=2),
    "cell": lambda: nn.GRUCell(3, 4),
    "norm": lambda: nn.BatchNorm1d(3),
    "prelu": nn.PReLU,
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 4)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(3, 4)),
}
TORCH = {
    name: function
    for name, function in vars(nn.init).items()
    if inspect.isfunction(function) and name.endswith("_") and not name.startswith("_")
}
ARGUMENTS = {
    "constant_": {"val": 1.5},
    "sparse_": {"sparsity": 0.5},
    **{name: {"steps": 1} for name in ("metainit", "gradinit")},
}
BATCH = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


def names(model: nn.Module) -> Iterator[str]:
    """How a message may name a layer of the model, or the model itself if it is a single layer."""
    yield from (found.name for found in walk(model))
    yield from (f"layer {name}" for name, _ in model.named_modules() if name)
    yield type(model).__name__


# torch says so of the odd layers.
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors", "ignore:LSTM with projections")
@pytest.mark.parametrize("init", [*(f"torch.{name}" for name in TORCH), *NAMES])
def test_on_odd_layers_every_initializer_works_or_names_the_layer_and_writes_nothing(init: str) -> None:
    spec: Any = TORCH.get(init.removeprefix("torch."), init) if init.startswith("torch.") else init
    arguments = ARGUMENTS.get(init.removeprefix("torch."), {})
    for kind, build in ODD.items():
        for model in (build(), nn.Sequential(nn.Linear(3, 3), build())):
            before = copy.deepcopy(model.state_dict())
            message = refusal(model, spec, arguments)
            if message:
                of_all = f"{init} does not work with", f"{init} needs a model"
                assert any(name in message for name in (*names(model), *of_all)), kind
                assert "\n" not in message
                assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), kind


def refusal(model: nn.Module, init: Any, arguments: dict[str, Any]) -> str:
    try:
        initialize(model, init, batch=BATCH, **arguments)
    except ValueError as error:
        return str(error)
    return ""


def test_a_function_of_torch_for_matrices_names_the_convolution_it_does_not_fit() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"^sparse_ fails on 1\.weight: Only tensors with 2 dim"):
        initialize(model, nn.init.sparse_, sparsity=0.5)


def test_a_scheme_that_fails_late_leaves_what_came_before_it_as_it_was() -> None:
    def choosy(tensor: Tensor) -> None:
        if tensor.shape == (9, 7):
            raise RuntimeError("not nine by seven")
        tensor.fill_(1)

    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(7, 9))
    model[1].running_mean.fill_(5)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"choosy with .* does not work on 2\.weight, of shape \(9, 7\): not nine by"):
        initialize(model, choosy)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_function_for_modules_names_the_module_it_fails_on() -> None:
    def sparse(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.sparse_(module.weight, 0.5)

    def careless(module: nn.Module) -> None:
        module.wieght.zero_()  # type: ignore[operator, union-attr]  # the misspelling that fails

    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(ValueError, match=r"layer 1\.0: Only tensors with 2 dimensions are supported"):
        initialize(model, sparse)
    with pytest.raises(ValueError, match=r"careless fails in this Sequential: .* no attribute 'wieght'"):
        initialize(model, careless)


@pytest.mark.parametrize("name", ["lsuv", "gradinit", "patch_whitening"])
def test_a_batch_that_the_model_cannot_take_names_the_layer_that_failed(name: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 5)))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=rf"{name} fails in layer 1\.0, a Linear: .*shapes cannot be multiplied"):
        initialize(model, name, batch=BATCH)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    "error", [KeyError("mask\nis missing"), NotImplementedError(), StopIteration(), OSError("gone")]
)
@pytest.mark.parametrize("name", ["lsuv", "gradinit", "metainit", "patch_whitening"])
def test_whatever_a_layer_raises_names_the_layer(name: str, error: Exception) -> None:
    class Broken(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            raise error

    model = nn.Sequential(nn.Flatten(), Broken(12, 5))
    with pytest.raises(ValueError, match=rf"^{name} fails in layer 1, a Broken: .*$"):
        initialize(model, name, batch=BATCH)


class Uncopyable(nn.Linear):
    """A layer with an attribute that cannot be copied."""

    def __init__(self, attribute: object) -> None:
        super().__init__(3, 3)
        self.attribute = attribute


def an_activation() -> Tensor:
    return nn.Linear(3, 3)(torch.ones(2, 3))


UNCOPYABLE: dict[str, tuple[Callable[[], object], str]] = {
    "lock": (threading.Lock, "cannot pickle '_thread.lock' object"),
    "generator": (lambda: (number for number in range(3)), "cannot pickle 'generator' object"),
    "file": (lambda: sys.__stdout__, "cannot pickle"),
    "activation": (an_activation, r"Only Tensors created explicitly by the user"),
}


@pytest.mark.parametrize("kind", UNCOPYABLE)
def test_a_layer_that_cannot_be_copied_is_filled_by_schemes_and_refused_by_name_elsewhere(kind: str) -> None:
    make, reason = UNCOPYABLE[kind]
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(Uncopyable(make())))
    ordinary = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)))
    initialize(model, "orthogonal")
    assert torch.equal(model[1][0].weight, initialize(ordinary, "orthogonal")[1][0].weight)
    before = copy.deepcopy([parameter.detach() for parameter in model.parameters()])
    refusals = {
        "lsuv works on a copy of the model, and layer 1.0, a Uncopyable, cannot be copied: ": lambda: initialize(
            model, "lsuv", batch=BATCH
        ),
        "describe works on a copy of the model, and layer 1.0, ": lambda: describe(model, "orthogonal"),
        "1.0.weight: a Uncopyable cannot be copied: ": lambda: initialize(model, "default"),
    }
    for message, act in refusals.items():
        with pytest.raises(ValueError, match=reason) as caught:
            act()
        assert str(caught.value).startswith(message)
    assert all(map(torch.equal, before, model.parameters()))


def test_a_rule_that_nobody_typed_is_not_blamed() -> None:
    with pytest.raises(ValueError, match=r"^irnn needs recurrent layers of type RNN, and Linear has none$"):
        initialize(nn.Linear(3, 3), "irnn")
    with pytest.raises(
        ValueError, match=r"^vit_jax needs a first and a last weight matrix, and Embedding has not both$"
    ):
        initialize(nn.Embedding(3, 3), "vit_jax")
    typed = [{"match": "RNN", "recurrent_hidden": "eye"}]
    with pytest.raises(ValueError, match=r"^the rule for 'RNN' matches no recurrent_hidden"):
        initialize(nn.Linear(3, 3), "orthogonal", rules=typed)


@pytest.mark.parametrize("role", ["recurrent_input", "recurrent_hidden", "attention_in"])
@pytest.mark.parametrize("policy", [0, 0.5, "zeros", {"name": "normal"}])
def test_a_policy_for_a_role_that_the_model_lacks_is_refused(role: str, policy: object) -> None:
    with pytest.raises(ValueError, match=f"^{role} is given, but the model has no parameter of that role$"):
        initialize(nn.Linear(3, 3), "normal", **{role: policy})


def test_learning_rates_of_an_initializer_are_public() -> None:
    model = nn.Sequential(nn.Linear(3, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))
    factors = initbench.learning_rates(model, "mup", adaptive=True, base_width=32)
    assert factors == {"2.weight": 0.25, "4.weight": 0.25}
    assert factors == initializer("mup", base_width=32).learning_rates(model, adaptive=True)
    groups = [{"params": [p], "lr": 0.1 * factors.get(name, 1)} for name, p in model.named_parameters()]
    assert [group["lr"] for group in torch.optim.Adam(groups).param_groups] == [0.1, 0.1, 0.025, 0.1, 0.025, 0.1]
    assert initbench.learning_rates(model, "orthogonal", adaptive=True) == {}


def _by_depth(assignments, adaptive, *, scale=1.0):
    return {a.parameter.name: Factors(lr=0.5, eps=scale, weight_decay=2) for a in assignments if a.layer.position}


@optimizer_rule(_by_depth)
def changes_all_three(tensor, generator, *, scale=1.0):
    return nn.init.normal_(tensor, generator=generator)


def test_an_initializer_may_change_lr_eps_and_weight_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    factors = initbench.optimizer_factors(model, changes_all_three, adaptive=True, scale=4.0)
    assert list(factors) == [name for name, _ in model.named_parameters()]
    assert factors["1.weight"] == (0.5, 4, 2)
    assert factors["1.bias"] == (1, 1, 1)
    with pytest.raises(ValueError, match=r"changes_all_three changes eps or weight_decay too: use initbench"):
        initbench.learning_rates(model, changes_all_three, adaptive=True, scale=4.0)
    assert set(initbench.optimizer_factors(model, "orthogonal", adaptive=True).values()) == {Factors()}
    of_mup = initbench.optimizer_factors(model, "mup", adaptive=True, base_width=2)
    assert {name: factor.lr for name, factor in of_mup.items()} == {
        "0.weight": 1, "0.bias": 1, "1.weight": 0.5, "1.bias": 1
    }  # fmt: skip  # several values to a line


@pytest.mark.parametrize("name", ["mup", "fixup", "patch_whitening"])
def test_an_initializer_with_learning_rates_says_where_to_get_them(name: str) -> None:
    function = initializer(name).method or initializer(name).schemes["weight"]
    assert "initbench.learning_rates" in (function.function.__doc__ or "")
    assert "learning_rates" in (initialize.__doc__ or "")
