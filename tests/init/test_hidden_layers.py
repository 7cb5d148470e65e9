"""Layers that torch has turned into something else: compiled, traced, quantized, pruned."""

import copy
from collections.abc import Callable

import pytest
import torch
from every_option import same
from torch import Tensor, nn
from torch.nn.utils.prune import l1_unstructured

from initbench.init import initialize


class Hidden(nn.Module):
    """A layer with a parameter of its own, which tracing takes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.scale


def pair(second: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 6), second)


TURNED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "script": (lambda: torch.jit.script(pair(nn.Linear(6, 6))), "this RecursiveScriptModule is compiled by torch.jit"),
    "script inside": (lambda: pair(torch.jit.script(nn.Linear(6, 6))), "layer '1' is compiled by torch.jit"),
    "trace": (lambda: torch.jit.trace(pair(nn.Linear(6, 6)), torch.ones(2, 6)), "is compiled by torch.jit"),
    "fx": (lambda: torch.fx.symbolic_trace(pair(Hidden())), "layer '1' is traced by torch.fx or torch.export"),
    "export": (
        lambda: torch.export.export(pair(nn.Linear(6, 6)), (torch.ones(2, 6),)).module(),
        "layer '0' is traced by torch.fx or torch.export",
    ),
    "unflatten": (
        lambda: torch.export.unflatten(torch.export.export(pair(nn.Linear(6, 6)), (torch.ones(2, 6),))),
        "layer '0' is traced by torch.fx or torch.export",
    ),
    "quantized": (
        lambda: torch.ao.quantization.quantize_dynamic(pair(nn.Linear(6, 6)), {"1"}),
        "layer '1' is quantized",
    ),
    "pruned": (lambda: pair(l1_unstructured(nn.Linear(6, 6), "weight", 0.5)), "layer '1' is pruned.*'weight'"),
}


# torch deprecates some of these ways to change a layer; models that use them are still there.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv"])
@pytest.mark.parametrize("kind", TURNED)
def test_layers_whose_type_is_hidden_are_refused_by_name(kind: str, name: str) -> None:
    build, message = TURNED[kind]
    model = build()
    before = copy.deepcopy([parameter.detach() for parameter in model.parameters()])
    with pytest.raises(ValueError, match=message):
        initialize(model, name, batch=torch.ones(4, 6))
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.filterwarnings("ignore:no activation module")  # a graph may call functions
@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv"])
def test_a_graph_of_torch_fx_that_kept_its_layers_gets_the_same_weights(name: str) -> None:
    batch = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    expected = initialize(pair(nn.Linear(6, 6)), name, batch=batch)
    assert same(initialize(torch.fx.symbolic_trace(pair(nn.Linear(6, 6))), name, batch=batch), expected)
