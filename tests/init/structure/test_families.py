"""The parts that are found in families of models are those that their definitions name (families_by_hand.py)."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import transformers
from facts import IDS
from families_by_hand import FAMILIES
from families_of_transformers import SIZES, huggingface
from torch import Tensor, nn

import initbench
from initbench.init.structure.parts import Attention, Parts
from initbench.init.structure.projection import Projection

transformers.logging.set_verbosity_error()

LARGE = ("tiny_vit", "coatnet", "maxvit")
ALL = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in FAMILIES]
)
RUN = [name for name, facts in FAMILIES.items() if facts.inputs]
# In DeepSeek, a second layer makes a part of the keys.
ATTENDING = [name for name in RUN if FAMILIES[name].heads and name != "deepseek_v2"]


@cache
def parts_of(name: str) -> Parts:
    return Parts(FAMILIES[name].make())


@ALL
def test_branches_depths_and_streams(name: str) -> None:
    facts, branches = FAMILIES[name], parts_of(name).branches
    assert [branch.depth for branch in branches] == facts.depths
    assert [branch.stream for branch in branches] == (facts.streams or [0] * len(branches))
    assert len({branch.name for branch in branches}) == len(branches)
    assert not any(branch.ends_outside_layers for branch in branches)


@ALL
def test_attentions_and_heads(name: str) -> None:
    facts, attentions = FAMILIES[name], parts_of(name).attentions
    assert [(attention.num_heads, attention.kv_heads) for attention in attentions] == facts.heads
    assert sum(not attention.is_self_attention for attention in attentions) == facts.others


@ALL
def test_what_the_matrices_of_a_block_are_for(name: str) -> None:
    facts, matrices = FAMILIES[name], parts_of(name).branch_matrices
    found = [f"{each.purpose} {each.projection.name.removesuffix('weight').rstrip('._')}" for each in matrices]
    words = facts.matrices.split()
    expected = [f"{purpose} {facts.block}{layer}" for purpose, layer in zip(words[::2], words[1::2], strict=True)]
    assert [each for each in found if each.split()[1].startswith(facts.block)] == expected
    assert len(found) == facts.total
    rows = [(id(each.projection.module), row) for each in matrices for row in each.projection.rows or ()]
    assert len(set(rows)) == len(rows)  # no row of a packed layer has two purposes


@ALL
def test_positions_and_gates(name: str) -> None:
    facts, parts = FAMILIES[name], parts_of(name)
    assert [found.name for found in parts.positions] == facts.positions
    assert len(parts.gates) == facts.gates


def drawn(name: str) -> Parts:
    """A model of its own, with weights that are not small, and without biases and positions."""
    torch.manual_seed(0)
    parts = Parts(FAMILIES[name].make())
    for key, parameter in parts.model.named_parameters():
        if parameter.dim() >= 2:
            parameter.normal_(std=0.5)
        else:
            parameter.fill_(0 if key.endswith("bias") else 1)
    for position in parts.positions:  # DeBERTa multiplies them by queries and keys
        position.tensor.zero_()
    return parts


def output(name: str, model: nn.Module) -> Tensor:
    made: Any = model(*FAMILIES[name].inputs)
    return made if isinstance(made, Tensor) else next(iter(made.values()))


def matter(name: str, parts: Parts, projections: list[Projection]) -> bool:
    """Whether other values of some projections change what the model computes."""
    before = output(name, parts.model)
    for projection in projections:
        projection.write(torch.randn(projection.shape))
    return not torch.equal(before, output(name, parts.model))


def zero(projections: list[Projection]) -> None:
    for projection in projections:
        projection.write(torch.zeros(projection.shape))


@pytest.mark.parametrize("name", RUN)
@torch.no_grad()
def test_if_what_writes_to_the_stream_is_zero_nothing_else_in_a_branch_matters(name: str) -> None:
    parts = drawn(name)
    matrices = parts.branch_matrices
    last = [each.projection for each in matrices if each.purpose == "out"]
    others = [each.projection for each in matrices if each.purpose != "out"]
    assert matter(name, parts, others)
    zero(last)
    assert not matter(name, parts, others)
    assert matter(name, parts, last)


@pytest.mark.parametrize("name", ATTENDING)
@torch.no_grad()
def test_scores_need_queries_and_keys_and_an_attention_without_values_makes_nothing(name: str) -> None:
    parts = drawn(name)
    query, key, value, last = ([each.projections[i] for each in parts.attentions] for i in range(4))
    for zeroed, others in ((query, key), (key, query), (value, [*query, *key, *last])):
        assert matter(name, parts, others)
        zero(zeroed)
        assert not matter(name, parts, others)
        assert matter(name, parts, zeroed)


def heads_of(name: str, model: nn.Module, attention: Attention) -> tuple[Tensor, Tensor]:
    """What a self-attention reads, and what it hands to its output projection: one head after the other."""
    assert attention.output is not None
    seen: dict[nn.Module, Tensor] = {}
    modules = (attention.query.module, attention.output.module)
    hooks = [each.register_forward_pre_hook(lambda m, args: seen.update({m: args[0].clone()})) for each in modules]
    output(name, model)
    for hook in hooks:
        hook.remove()
    return seen[modules[0]], seen[modules[1]]


# Each with the factor of its scores, if it is not 1 / sqrt(features of a head), and whether tokens see later ones.
PLAIN = {
    "gpt2": (None, False),
    "opt": (None, False),
    "our GPT, grouped": (None, False),
    "our GPT, apart": (None, False),
    "bert": (None, True),
    "distilbert": (None, True),
    "t5-encoder": (1.0, True),
    "bart": (None, True),
    "vit-huggingface": (None, True),
    "vit": (None, True),
    "our ViT": (None, True),
}


@pytest.mark.parametrize("name", PLAIN)
@torch.no_grad()
def test_an_attention_is_the_softmax_of_its_queries_and_keys_times_its_values(name: str) -> None:
    parts, (factor, sees_later) = drawn(name), PLAIN[name]
    attention = parts.attentions[0]
    read, made = heads_of(name, parts.model, attention)
    query = (read @ attention.query.weight.T).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
    key, value = (
        (read @ each.weight.T)
        .unflatten(-1, (attention.kv_heads, -1))
        .transpose(1, 2)
        .repeat_interleave(attention.num_heads // attention.kv_heads, dim=1)
        for each in (attention.key, attention.value)
    )
    scores = query @ key.transpose(-2, -1) * (factor or query.shape[-1] ** -0.5)
    if not sees_later:
        scores = scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -torch.inf)
    torch.testing.assert_close(made, (scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


ROTATED = ["gpt_neox", "gptj", "bloom", "falcon", "llama", "qwen3", "gemma", "phi3", "our GPT, as Llama"]


@pytest.mark.parametrize("name", ROTATED)
@torch.no_grad()
def test_queries_keys_and_values_of_one_head_belong_together(name: str) -> None:
    """A head weights its values alike without its queries as without its keys; other heads do not notice."""
    parts = drawn(name)
    attention = parts.attentions[0]
    width = attention.query.shape[0] // attention.num_heads
    query, key, value = (first(each, width) for each in attention.projections[:3])
    group = slice(0, width * attention.num_heads // attention.kv_heads)  # the queries that share the first keys
    _, whole = heads_of(name, parts.model, attention)
    with_query = query.weight
    zero([query])
    _, without_query = heads_of(name, parts.model, attention)
    assert not torch.allclose(whole[..., :width], without_query[..., :width])
    assert torch.equal(whole[..., width:], without_query[..., width:])
    query.write(with_query)
    zero([key])
    _, without_key = heads_of(name, parts.model, attention)
    torch.testing.assert_close(without_key[..., :width], without_query[..., :width])
    assert torch.equal(whole[..., group.stop :], without_key[..., group.stop :])
    zero([value])
    _, without_value = heads_of(name, parts.model, attention)
    assert not without_value[..., group].any()
    assert torch.equal(whole[..., group.stop :], without_value[..., group.stop :])


def first(projection: Projection, count: int) -> Projection:
    """The first rows of a projection: those of its first head."""
    rows = projection.rows or range(projection.shape[0])
    return replace(projection, rows=tuple(rows)[:count])


GATED = [name for name, facts in FAMILIES.items() if facts.inputs and "gate" in facts.matrices.split()]


@pytest.mark.parametrize("name", GATED)
@torch.no_grad()
def test_a_gate_passes_through_an_activation_and_up_does_not(name: str) -> None:
    """What a gated MLP makes is doubled with `up`; both SiLU and GELU of twice a gate are not twice as large."""
    parts = drawn(name)
    branch = next(branch for branch in parts.branches if branch.gated is not None and not branch.attentions)
    assert branch.gated is not None
    (_, down), (gate, up) = branch.last_layers[0], branch.gated
    seen: list[Tensor] = []
    hook = down.register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    output(name, parts.model)
    up.write(up.weight * 2)
    output(name, parts.model)
    gate.write(gate.weight * 2)
    output(name, parts.model)
    hook.remove()
    torch.testing.assert_close(seen[1], seen[0] * 2)
    assert not torch.allclose(seen[2], seen[1] * 2)


@pytest.fixture(scope="module")
def mixture() -> nn.Module:
    return huggingface("Mixtral", "ForCausalLM", **SIZES, num_key_value_heads=2, num_local_experts=2)()


def test_a_mixture_of_experts_has_branches_and_none_of_its_layers_ends_one(mixture: nn.Module) -> None:
    branches = Parts(mixture, IDS).branches
    assert [branch.kind for branch in branches] == ["attention", "mlp"] * 2
    assert [branch.depth for branch in branches] == [0, 0, 1, 1]
    assert [branch.ends_outside_layers for branch in branches] == [False, True] * 2
    # The layer that chooses the experts is one of the branch. Without it, the experts still add to the skip connection.
    assert [name for name, _ in branches[1].weighted] == ["model.layers.0.mlp.gate"]
    assert branches[1].last_layers == ()


def test_an_attention_by_matrices_that_belong_to_no_layer_is_a_branch_and_its_parts_are_not_told() -> None:
    sizes = {"vocab_size": 32, "d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 24}
    parts = Parts(huggingface("XLNet", **sizes)(), IDS)
    assert [(branch.kind, branch.depth) for branch in parts.branches] == [
        *[("attention", 0), ("mlp", 0)],
        *[("attention", 1), ("mlp", 1)],
    ]
    assert parts.attentions == []
    with pytest.raises(ValueError, match=r"^layer.0.rel_attn.q is multiplied outside of a layer"):
        _ = parts.branch_matrices


def test_what_needs_the_matrices_of_branches_refuses_a_mixture_of_experts(mixture: nn.Module) -> None:
    weight = "model.layers.0.mlp.experts.gate_up_proj"
    with pytest.raises(ValueError, match=f"^{weight} is multiplied outside of a layer"):
        _ = Parts(mixture, IDS).branch_matrices
    with pytest.raises(ValueError, match=r"^fixup needs to zero .* model\.layers\.0\.mlp ends with"):
        initbench.initialize(mixture, "fixup")
    with pytest.raises(ValueError, match=r"^t_fixup: model.*is multiplied outside of a layer"):
        initbench.initialize(mixture, "t_fixup")
