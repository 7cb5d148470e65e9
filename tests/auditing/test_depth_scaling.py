"""Depth in the weights of transformers: recipes as published pass, and what was scaled wrongly is found."""

from typing import Any

import pytest
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
