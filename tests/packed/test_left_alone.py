"""What packs leave, with the reason: each of these runs is trained, or refused, by itself."""

import warnings
from pathlib import Path

import pytest
import torch
from packs import ALONE, configs, train_packs

from initbench.packed.eligible import forward_for
from initbench.record.store import Store
from initbench.training.build import build_run
from initbench.training.run import run


@pytest.mark.parametrize("model, words", ALONE.items())
def test_what_cannot_be_mapped_over_is_left_and_said(
    model: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_packs(configs(tmp_path, f"model={model}"), most=64) == {}
    assert f"alone: {words}" in capsys.readouterr().out
    assert list(tmp_path.glob("*/*/record.json")) == []


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["trainer.precision=bf16-mixed"], "trainer.precision=bf16-mixed"),
        (["+trainer.detect_anomaly=true"], "trainer.detect_anomaly"),
        (["trainer.gradient_clip_val=0"], "trainer.gradient_clip_val=0"),  # with Lightning: none
        (["trainer.deterministic=warn"], "trainer.deterministic=warn"),
        (["data.stream=true"], "streamed data"),
    ],
)
def test_what_a_pack_would_do_otherwise_is_left(
    overrides: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_packs(configs(tmp_path, *overrides), most=64) == {}
    assert f"alone: {words}" in capsys.readouterr().out


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without an accelerator")
def test_a_pack_does_not_train_elsewhere_than_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_packs(configs(tmp_path, "model=mlp", "trainer.accelerator=gpu"), most=64) == {}
    assert "alone: building or initializing the model failed" in capsys.readouterr().out


def test_runs_that_are_done_or_have_a_checkpoint_are_left(tmp_path: Path) -> None:
    first, second, *rest = configs(tmp_path, "model=mlp")
    run(first)
    Store(second).folder.mkdir(parents=True)
    Store(second).checkpoint.touch()
    assert set(train_packs([first, second, *rest], most=64)) == {Store(config).folder for config in rest}


def test_wrong_options_of_a_logger_are_found_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By themselves the runs are refused."""
    assert train_packs(configs(tmp_path, "model=mlp", "logger=csv", "+logger.colour=red"), most=64) == {}
    assert capsys.readouterr().out.count("alone: building or initializing the model failed") == 4


@pytest.mark.parametrize("drawn", [["model._target_=drawn.Shuffling"], ["model._target_=drawn.Dropping"]])
def test_a_model_that_draws_more_than_weights_is_left(
    drawn: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The order of its pixels is neither a parameter nor a buffer: only runs of one seed have the same."""
    records = train_packs(configs(tmp_path, "model=mlp", *drawn, inits=("kaiming_normal", "zeros")), most=64)
    assert [(record["seed"], record["replicas"]) for record in records.values()] == [(0, 2), (0, 2)]
    assert capsys.readouterr().out.count("alone: its model differs from the pack's in more than") == 2


def test_what_cannot_be_compared_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tensor that is neither a parameter nor a buffer does not become float64 with the model."""
    assert (
        train_packs(
            configs(tmp_path, "model=mlp", "model._target_=drawn.Projecting", "trainer.precision=32-true"), most=64
        )
        == {}
    )
    assert capsys.readouterr().out.count("alone: its model differs from the pack's in more than") == 4


def test_a_run_that_no_other_is_like_goes_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """muP has learning rates of its own."""
    runs = configs(tmp_path, "model=mlp", "optimizer=sgd", inits=("mup", "orthogonal"))[1:]
    assert [record["replicas"] for record in train_packs(runs, most=64).values()] == [2, 2]
    assert "alone: no other run to be packed with" in capsys.readouterr().out


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("model", ["rnn", "vit", "mlp"])
def test_to_ask_whether_a_model_packs_changes_no_warnings(model: str, always: bool, tmp_path: Path) -> None:
    """Whatever the answer is."""
    (config,) = configs(tmp_path, f"model={model}", inits=("default",), seeds=1)
    parts = build_run(Store(config).typed)
    before = torch.is_warn_always_enabled(), list(warnings.filters)
    torch.set_warn_always(always)
    try:
        forward_for(parts)
        assert torch.is_warn_always_enabled() == always
        assert warnings.filters == before[1]
    finally:
        torch.set_warn_always(before[0])
