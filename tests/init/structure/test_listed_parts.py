"""Parts that are told by names, examples of inputs, and projections: one by one, without running a model."""

from typing import Any

import pytest
import torch
from running import ReZero
from torch import Tensor, nn

from initbench.init.structure.attention import listed_attentions
from initbench.init.structure.branch import listed_branches
from initbench.init.structure.example import examples, like
from initbench.init.structure.parts import Parts
from initbench.init.structure.projection import Projection


def module(**parts: Any) -> nn.Module:
    made = nn.Module()
    for key, part in parts.items():
        setattr(made, key, part)
    return made


def linear(outputs: int, inputs: int = 12) -> nn.Linear:
    return nn.Linear(inputs, outputs)


APART = {"q_proj": linear(12), "k_proj": linear(4), "v_proj": linear(4), "o_proj": linear(12)}


@pytest.mark.parametrize(
    "parts, heads",
    [
        ({"num_heads": 3, "qkv": linear(36), "proj": linear(12)}, (3, 3)),
        ({"n_head": 6, "qkv": linear(36), "proj": linear(12)}, (6, 6)),
        ({"num_attention_heads": 3, **APART}, (3, 1)),
        ({"num_heads": 3, "query": linear(12), "key": linear(12), "value": linear(12), "proj": linear(12)}, (3, 3)),
        ({"qkv": linear(36), "proj": linear(12)}, None),
        ({"num_heads": 3, "qkv": linear(20), "proj": linear(12)}, None),
        ({"num_heads": 3, "head_first": True, "qkv": linear(36), "proj": linear(12)}, None),
        ({"num_heads": 3, "head_first": False, "qkv": linear(36), "proj": linear(12)}, (3, 3)),
        ({"num_heads": 3, "key_dim": 4, "qkv": linear(36), "proj": linear(12)}, None),
        ({"num_heads": 3, "qkv": linear(36)}, None),
    ],
)
def test_attentions_by_the_names_of_their_layers(parts: dict[str, Any], heads: tuple[int, int] | None) -> None:
    found = list(listed_attentions(module(block=module(**parts))))
    assert [(each.num_heads, each.kv_heads) for each in found] == ([] if heads is None else [heads])
    for each in found:
        assert each.name == "block"
        assert each.output.name in ("block.proj.weight", "block.o_proj.weight")
        if "qkv" in parts:
            rows = [projection.rows for projection in (each.query, each.key, each.value)]
            assert rows == [tuple(range(start, start + 12)) for start in (0, 12, 24)]
        assert each.is_square == (heads is not None and heads[0] == heads[1])


def test_the_rows_of_torchs_attention_are_those_of_query_key_and_value() -> None:
    (found,) = listed_attentions(nn.MultiheadAttention(4, 2))
    assert [each.rows for each in found.projections] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), None]
    assert [each.name for each in found.projections] == ["in_proj_weight"] * 3 + ["out_proj.weight"]


def test_the_cross_attention_of_a_decoder_is_no_self_attention() -> None:
    assert [each.name for each in listed_attentions(nn.TransformerDecoderLayer(8, 2, 16))] == ["self_attn"]


def test_the_last_layer_of_a_listed_branch_and_its_norms() -> None:
    norm = nn.BatchNorm1d(8, affine=False)
    model = module(block=module(branch=nn.Sequential(linear(8), nn.ReLU(), linear(8), norm, nn.Tanh())))
    (branch,) = listed_branches(model)
    assert [name for name, _ in branch.modules] == ["block.branch.0", "block.branch.2", "block.branch.3"]
    assert [name for name, _ in branch.weighted] == ["block.branch.0", "block.branch.2"]
    assert [name for name, _ in branch.last_layers] == ["block.branch.2"]
    assert [name for name, _ in branch.ends] == ["block.branch.3"]
    assert branch.last_norm == ("block.branch.3", norm)


def test_a_gate_may_be_a_module_with_a_parameter() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(8))

    scale, skip = Scale(), nn.Parameter(torch.ones(()))
    model = module(one=module(branch=linear(8), gate=scale, skip_scale=skip), two=module(branch=linear(8)))
    one, two = listed_branches(model)
    assert (one.gate is scale.gamma, one.skip_scale is skip) == (True, True)
    assert (two.gate, two.skip_scale, one.kind) == (None, None, "mlp")
    assert [one.depth, two.depth] == [0, 1]


def test_listed_layers_are_counted_as_those_of_a_run() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3, enable_nested_tensor=False)
    assert [(each.kind, each.depth) for each in listed_branches(model)] == [
        (kind, depth) for depth in range(3) for kind in ("attention", "mlp")
    ]


def test_inputs_that_are_given_are_cut_to_two_samples_of_the_models_type() -> None:
    inputs = torch.randn(5, 3)
    (cut,) = like(inputs, nn.Linear(3, 3).double())
    assert (cut.shape, cut.dtype) == ((2, 3), torch.float64)
    assert torch.equal(cut, inputs[:2].double())
    (ids,) = like(torch.arange(5), nn.Linear(3, 3).half())
    assert (ids.dtype, ids.tolist()) == (torch.int64, [0, 1])
    counting = nn.Module()
    counting.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    counting.layer = nn.Linear(3, 3).double()
    assert like(inputs, counting)[0].dtype == torch.float64


def test_a_decoder_may_get_ids_of_its_own() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 8)

        def forward(self, input_ids: Tensor, mask: Tensor | None = None, decoder_input_ids: Tensor | None = None): ...

    given = [inputs for _, inputs in zip(range(2), examples(Pair()), strict=False)]
    assert [[each is not None for each in inputs] for inputs in given] == [[True], [True, False, True]]


class Late(nn.Module):
    """What it runs first is registered last."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.head, self.block, self.first = nn.Linear(8, 3), ReZero(), first

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (5,)
        return self.head(self.block(self.first(x)))


def test_the_layer_that_runs_first_may_be_registered_last() -> None:
    assert [branch.name for branch in Parts(Late(nn.Linear(5, 8))).branches] == ["block.f"]


class Stored(nn.Module):
    """x @ weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.other = nn.Parameter(torch.arange(6.0).view(2, 3)), nn.Parameter(torch.arange(6.0).view(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


@pytest.mark.parametrize("rows", [None, (2, 0)])
def test_a_projection_is_features_out_by_features_in_wherever_it_is_stored(rows: tuple[int, ...] | None) -> None:
    for layer in (Stored(), nn.Linear(2, 3)):
        found = Projection("weight", layer, rows=rows)
        whole = (layer.weight.T if isinstance(layer, Stored) else layer.weight).detach().clone()
        assert found.shape == (3 if rows is None else 2, 2)
        assert torch.equal(found.weight, whole if rows is None else whole[[2, 0]])
        found.weight.zero_()  # a copy
        assert torch.equal(Projection("weight", layer).weight, whole)
        value = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
        found.write(value)
        assert torch.equal(found.weight, value)
        assert rows is None or torch.equal(Projection("weight", layer).weight[1], whole[1])
    assert Projection("other", Stored(), "other").shape == (2, 3)
