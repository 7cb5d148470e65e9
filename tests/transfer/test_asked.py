"""The line that is typed, and its mistakes."""

import pytest

from initbench.errors import UserMistake
from initbench.transfer.asked import parse
from initbench.transfer.check import overrides


def test_the_sweep_that_it_stands_for() -> None:
    asked = parse(["init=gpt2,mup", "task=language_model", "model.tied=false", "axis=width", "values=128,64"])
    assert asked.rates == (0.0005, 0.001, 0.002, 0.004, 0.008)
    assert asked.sweep([0.002]) == [
        *("init=gpt2,mup", "task=language_model", "model.tied=false", "seed=range(10)"),
        *("model.width=64,128", "optimizer.lr=0.002", "study=transfer"),
    ]
    own = ["model=mlp", "axis=depth", "values=[2,4]", "optimizer.lr=1,2,4", "seed=0,1", "study=mine"]
    assert parse(own).sweep([1]) == [*("model=mlp", "seed=0,1", "model.depth=2,4", "optimizer.lr=1", "study=mine")]


@pytest.mark.parametrize(
    "line, words",
    [
        ("values=1,2", "axis is missing: type axis=width"),
        ("axis=width", "values is missing: type values=64,128,256,512"),
        ("axis=widht values=1,2", "unknown axis 'widht'. Did you mean 'width'? Allowed: batch_size, depth, width"),
        ("axis=width values=64", "values=64 is one value: a drift needs two or more"),
        ("axis=width values=64,64", "values=64 is one value: a drift needs two or more"),
        ("axis=width values=64,a", "values=64,a must be numbers with commas between them"),
        ("axis=width values=64,0", "values=64,0 must be above 0"),
        ("axis=width values=64,64.5", "values of a width are whole numbers"),
        ("axis=width values=63.5,64", "values of a width are whole numbers"),
        ("axis=width values=64,inf", "values=64,inf must be above 0"),
        (
            "axis=width values=1,2 model=mlp experiment=tuned",
            "transfer tries all rates with all seeds: tuning is not for it",
        ),
        ("axis=width values=1,2 model.width=3", "model.width is what axis=width sweeps over"),
        ("axis=width values=1,2 model=mlp model.depth=2,4", "model.depth has several values, and transfer is for one"),
        ("axis=width values=1,2 experiment=depth", "model.depth has several values, and transfer is for one"),
        ("axis=width values=1,2 model=mlp until=sure", "transfer tries all rates with all seeds: until is not for it"),
        ("axis=width values=1,2 values=3,4", "values is given twice: values=1,2 and values=3,4"),
        ("axis=width values=1,2 model=mlp optimizer.lr=1,2", "optimizer.lr has 2 of the three values or more"),
        ("axis=width values=1,2 optimizer=adm", "unknown option optimizer=adm. Did you mean 'adam'?"),
        ("--axis=width", "transfer takes overrides, name=value, and no --axis=width"),
        ("axis=width values=1,2 model=lenet", "unknown key model.width. Keys of model: _target_, name"),
    ],
)
def test_a_mistake_is_said(line: str, words: str) -> None:
    with pytest.raises(UserMistake) as refused:
        parse(line.split())
    assert str(refused.value).startswith(words)


def test_short_runs_take_nothing_that_would_contradict_them() -> None:
    line = (
        "model=mlp axis=width values=8,16 scheduler=warmup scheduler.warmup_fraction=0.1 trainer.max_steps=9 seed=1,2"
    )
    asked = parse([*line.split(), "optimizer.lr=1,2,4", "logger=none"])
    keys = [override.partition("=")[0] for override in overrides(asked, 0.1)]
    assert len(keys) == len(set(keys))
    assert "scheduler.warmup_fraction" not in keys
    assert {"scheduler=constant", "seed=0", "logger=none", "model.width=8,16"} <= {*overrides(asked, 0.1)}


def test_sources_of_randomness_that_were_set_apart_are_not_in_short_runs() -> None:
    asked = parse(["model=mlp", "axis=width", "values=8,16", "seeds.weights=3", "optimizer.lr=1,2,4"])
    assert "seeds.weights=3" in asked.sweep(asked.rates)
    assert not [line for line in overrides(asked, 0.1) if line.startswith("seeds.")]


def test_rates_are_swept_with_all_their_digits() -> None:
    asked = parse(["model=mlp", "axis=width", "values=8,16", "optimizer.lr=0.0012345678,0.1,2"])
    assert "optimizer.lr=0.0012345678,0.1,2" in asked.sweep(asked.rates)
