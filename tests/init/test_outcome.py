"""What a plan and an outcome show: a table instead of the tensors."""

import pytest
import torch
from torch import nn

from initbench.init import Initializer, Outcome, Plan, describe, initializer, rows
from initbench.init.method import Batch


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    model.add_module("<i>&", nn.Linear(5, 3))
    return model


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(torch.randn(8, 6, generator=generator), torch.arange(8) % 3)


def test_a_plan_is_a_list_of_assignments_that_prints_as_a_table(model: nn.Module) -> None:
    plan = Initializer("orthogonal").plan(model)
    assert isinstance(plan, Plan)
    assert [assignment.layer.name for assignment in plan] == [name for name, _ in model.named_parameters()]
    text = repr(plan)
    assert len(text.splitlines()) == 1 + len(plan)
    assert "tensor" not in text
    frame = describe(model, "orthogonal")
    for column in ("parameter", "scheme", "std_expected"):
        assert column in text
    assert all(name in text for name in frame["parameter"])


def test_names_are_text_in_a_notebook(model: nn.Module) -> None:
    chosen = Initializer("orthogonal", rules=[{"match": "<i>&", "weight": "zeros"}])
    for shown in (chosen.plan(model), chosen.apply(model, seed=0)):
        html = shown._repr_html_()
        assert ">&lt;i&gt;&amp;.weight<" in html
        assert "rule &lt;i&gt;&amp;" in html
        assert "<i>" not in html


def test_a_plan_says_that_a_method_follows(model: nn.Module) -> None:
    plan = initializer("lsuv").plan(model)
    assert "lsuv then changes the model as a whole." in repr(plan)
    assert "lsuv then changes the model as a whole." in plan._repr_html_()
    assert "then changes" not in repr(Initializer("orthogonal").plan(model))


def test_an_outcome_shows_the_weights_as_drawn_and_the_numbers_of_its_method(model: nn.Module) -> None:
    outcome = initializer("lsuv").apply(model, seed=0, batch=batch())
    html = outcome._repr_html_()
    assert isinstance(outcome, Outcome)
    assert "rescalings: " in repr(outcome)
    assert "rescalings: " in html
    for row in rows(outcome):
        assert f">{row['std']:.3g}<" in html
        assert f">{row['scheme']}<" in html


def test_an_initializer_says_what_it_is() -> None:
    chosen = initializer("lsuv", bias=0.5, rules=[{"match": "first", "weight": "zeros"}])
    assert repr(chosen).startswith("Initializer(weight=orthogonal, bias=0.5, ")
    assert repr(chosen).endswith("rule first, lsuv)")
