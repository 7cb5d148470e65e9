"""Depth in the weights of transformers: recipes as published pass, and what was scaled wrongly is found."""

from typing import Any

import pytest
import torch
from torch import nn

from initbench import initialize
from initbench.auditing.depth import scaled_by_depth
from initbench.auditing.subject import Subject
from initbench.init.structure.parts import Parts
from initbench.model import GPT


def gpt(init: str, **options: Any) -> nn.Module:
    return initialize(GPT(vocab_size=50, context_length=16, depth=4, width=64, heads=4, **options), init, seed=0)


@pytest.mark.parametrize("init", ["gpt2", "megatron", "wang", "nanochat", "mitchell"])
def test_recipes_as_published_pass(init: str) -> None:
    assert list(scaled_by_depth(Subject(gpt(init, tied=False)))) == []


def test_the_up_projection_that_is_scaled_too_is_found() -> None:
    """As torchtitan ships it: w3 of a gated MLP."""
    (found,) = scaled_by_depth(Subject(gpt("llama_depth", mlp="swiglu", tied=False)))
    assert "the up matrices of mlp branches do not write to the residual stream" in found.reason
    assert "1/sqrt(2(l+1))" in found.reason
    assert list(scaled_by_depth(Subject(gpt("llama_depth_fixed", mlp="swiglu", tied=False)))) == []


def test_the_value_projection_that_is_scaled_too_is_found() -> None:
    model = gpt("gpt2", projections="apart")
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose == "value":
            matrix.projection.write(matrix.projection.weight / 8**0.5)
    (found,) = scaled_by_depth(Subject(model))
    assert "the value matrices of attention branches" in found.reason
    assert "1/sqrt(R) (R = 8)" in found.reason


def test_what_is_scaled_twice_is_found() -> None:
    model = gpt("gpt2")
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose == "out":
            matrix.projection.write(matrix.projection.weight / 8**0.5)
    found = list(scaled_by_depth(Subject(model)))
    assert {finding.check for finding in found} == {"scaled by depth twice"}
    assert all("1/sqrt(R) twice (R = 8)" in finding.reason for finding in found)


def test_that_nothing_is_scaled_is_a_note() -> None:
    found = list(scaled_by_depth(Subject(gpt("lecun_normal", tied=False))))
    assert [finding.severity for finding in found] == ["note", "note"]
    assert "the out matrices of attention branches are not scaled by depth, though 8 branches" in found[0].reason


def test_one_kind_of_branch_that_is_not_scaled_is_found() -> None:
    model = gpt("gpt2")
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose == "out" and matrix.branch.kind == "mlp":
            matrix.projection.write(matrix.projection.weight * 8**0.5)
    (found,) = scaled_by_depth(Subject(model))
    assert found.severity == "warning"
    assert found.reason == (
        "the out matrices of mlp branches are not scaled by depth, as those of attention are by 1/sqrt(R)"
    )


def test_a_model_without_branches_has_no_depth() -> None:
    assert list(scaled_by_depth(Subject(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))))) == []


class Changed(nn.Module):
    """A part of a block, and what is done to its output."""

    def __init__(self, inner: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.inner, self.after = inner, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.inner(x))


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gamma * x


def limited(by: str) -> nn.Module:
    """A transformer whose branches are kept small, or not, by something other than their weights."""
    model = gpt("lecun_normal", tied=False, branch_multiplier=by == "a multiplier")
    for block in model.blocks:
        for key in ("attention", "mlp"):
            if by in ("a gate", "a norm at the end"):
                after = Gate() if by == "a gate" else nn.LayerNorm(64)
                setattr(block, key, Changed(getattr(block, key), after))
        if by == "no norm at the beginning":
            block.norm1, block.norm2 = nn.Identity(), nn.Identity()
    return model


@pytest.mark.parametrize(
    "by, notes",
    [
        ("nothing", 2),
        ("a multiplier", 0),
        ("a gate", 0),
        ("a norm at the end", 0),
        ("no norm at the beginning", 0),
    ],
)
def test_only_branches_that_nothing_else_limits_are_noted(by: str, notes: int) -> None:
    assert len(list(scaled_by_depth(Subject(limited(by))))) == notes


@pytest.mark.parametrize("depth, width, notes", [(2, 64, 0), (3, 64, 2), (3, 8, 0)])
def test_few_layers_and_small_matrices_tell_no_rule(depth: int, width: int, notes: int) -> None:
    model = GPT(vocab_size=50, context_length=16, depth=depth, width=width, heads=4, tied=False)
    found = list(scaled_by_depth(Subject(initialize(model, "lecun_normal", seed=0))))
    assert len(found) == notes
    assert all(f"though {2 * depth} branches add up" in finding.reason for finding in found)


def test_scaling_by_the_layer_twice_is_found() -> None:
    model = gpt("llama_depth_fixed", mlp="swiglu", tied=False)
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose == "out":
            matrix.projection.write(matrix.projection.weight / (2 * (matrix.branch.depth + 1)) ** 0.5)
    found = list(scaled_by_depth(Subject(model)))
    assert [finding.check for finding in found] == ["scaled by depth twice"] * 2
    assert all("1/(2(l+1)), which is 1/sqrt(2(l+1)) twice" in finding.reason for finding in found)


def test_a_block_that_runs_twice_adds_to_the_stream_twice() -> None:
    model = gpt("gpt2", tied=False)
    blocks = [*model.blocks]
    model.blocks = nn.Sequential(*(block for block in blocks for _ in range(2)))
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose == "out":  # by 1/sqrt(8) already; R is 16
            matrix.projection.write(matrix.projection.weight * 8**0.5 / 16)
    found = list(scaled_by_depth(Subject(model)))
    assert len(found) == 2
    assert all("1/R, which is 1/sqrt(R) twice (R = 16)" in finding.reason for finding in found)


def test_each_stream_has_a_number_of_its_own() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = {"vocab_size": 50, "context_length": 16, "width": 64, "heads": 4, "tied": False}
            self.one, self.other = (initialize(GPT(depth=depth, **sizes), "gpt2", seed=depth) for depth in (3, 6))

        def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.one(tokens), self.other(tokens)

    tokens = torch.arange(32).view(2, 16)
    model = Two()
    assert list(scaled_by_depth(Subject(model, tokens))) == []
    for matrix in Parts(model, tokens).branch_matrices:
        if matrix.purpose == "out":
            matrix.projection.write(matrix.projection.weight / (6 if matrix.branch.stream == 0 else 12) ** 0.5)
    found = list(scaled_by_depth(Subject(model, tokens)))
    assert {finding.reason.rpartition("(")[2] for finding in found} == {"R = 6)", "R = 12)"}


def test_of_weights_that_are_all_zero_nothing_is_said() -> None:
    model = gpt("lecun_normal", tied=False)
    with torch.no_grad():
        for matrix in Parts(model).branch_matrices:
            matrix.projection.write(torch.zeros(matrix.projection.shape))
    assert list(scaled_by_depth(Subject(model))) == []


def test_queries_and_keys_are_what_the_others_are_compared_with() -> None:
    model = gpt("gpt2", projections="apart", mlp="swiglu", tied=False)
    for matrix in Parts(model).branch_matrices:
        if matrix.purpose in ("value", "gate", "up"):
            matrix.projection.write(matrix.projection.weight / 8**0.5)
    found = list(scaled_by_depth(Subject(model)))
    assert {finding.check for finding in found} == {"scaled by depth off the stream"}
    assert [finding.reason.split()[1] for finding in found] == ["value", "gate", "up"]
