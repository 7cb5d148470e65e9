"""Runs that were trained as one leave what each would have left by itself: the same numbers, in the same records."""

import json
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from configs import compose_config, options
from scipy import stats

from initbench.packed import roster
from initbench.packed import run as packed_run
from initbench.packed.grouping import kind, obstacle
from initbench.packed.roster import decide
from initbench.packed.run import train_pack
from initbench.record.lock import lock
from initbench.record.store import Store
from initbench.run import run
from initbench.stopping import Stopped, stoppable

# Of a record, what is of the moment, or of how long it took.
OF_THE_MOMENT = {"started_at", "finished_at", "provenance", "config", "replicas"}
SINGLE = ["trainer.precision=32-true"]
SMALL = ("mlp", "lenet", "plain_cnn")
SMALLER = {"plain_cnn": ["model.depth=3", "model.width=4"]}
ALONE = {
    "rnn": "RNN, which cannot be mapped over",
    "lstm": "LSTM, which cannot be mapped over",
    "gru": "GRU, which cannot be mapped over",
    "vit": "torch does not map over aten::_scaled_dot_product_flash_attention_for_cpu",
}
LIBRARIES = ("timm", "torchvision")


def train_packs(configs: list[dict[str, Any]], most: int) -> dict[Path, dict[str, Any]]:
    """What a launcher does in one slot; prints why runs are left."""
    records, kinds = {}, defaultdict(list)
    for config in configs:
        if reason := obstacle(config):
            print("alone:", reason)
        else:
            kinds[kind(config)].append(config)
    for of_kind in kinds.values():
        for pack in decide(of_kind, most, slots=1):
            outcome = train_pack(pack)
            print(*outcome.said, sep="\n")
            for reason in outcome.alone.values():
                print("alone:", reason)
            study = Store(pack[0]).folder.parent
            records.update({study / name: record for name, record in outcome.records.items()})
    return records


def configs(
    folder: Path,
    *overrides: str,
    inits: tuple[str, ...] = ("kaiming_normal", "default"),
    seeds: int = 2,
    rates: tuple[float | None, ...] = (None,),
) -> Any:
    fixed = ["logger=none", "trainer.accelerator=cpu", "trainer.precision=64-true", f"runs_dir={folder}"]
    short = ["trainer.max_steps=8", "trainer.log_every_n_steps=3", "data.val_every_n_steps=4", "data.batch_size=16"]
    words = {word.partition("=")[0]: word for word in [*fixed, *short, *overrides]}
    return [
        compose_config(*words.values(), *([f"optimizer.lr={rate}"] if rate else []), f"init={init}", f"seed={seed}")
        for rate in rates
        for init in inits
        for seed in range(seeds)
    ]


def compare(
    packed: dict[str, Any],
    serial: dict[str, Any],
    folders: tuple[Path, Path],
    within: float = 1e-10,
    relative: float = 0.0,
) -> None:
    assert {*packed} - {*serial} == {"replicas"}
    for key in {*serial} - OF_THE_MOMENT:
        if not key.startswith("seconds"):
            assert _rounded(packed[key]) == _rounded(serial[key]), key
    ours, theirs = (pd.read_parquet(folder / "history.parquet").drop(columns="seconds") for folder in folders)
    pd.testing.assert_frame_equal(ours, theirs, rtol=relative, atol=within)
    ours, theirs = (pd.read_parquet(folder / "parameters.parquet") for folder in folders)
    pd.testing.assert_frame_equal(ours, theirs)


def _rounded(value: Any) -> Any:
    """Without what takes seconds: times to targets have some."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items() if not str(key).startswith("seconds")}
    return round(value, 9) if isinstance(value, float) else value


def twins(tmp_path: Path, *overrides: str, relative: float = 0.0, **kwargs: Any) -> list[dict[str, Any]]:
    """Train in a pack and one by one, and compare; the records of the pack."""
    records = train_packs(configs(tmp_path / "packed", *overrides, **kwargs), most=64)
    alone = configs(tmp_path / "serial", *overrides, **kwargs)
    assert len(records) == len(alone)
    for config in alone:
        folder = Store(config).folder
        serial = run(config)
        assert serial is not None
        twin = tmp_path / "packed" / folder.relative_to(tmp_path / "serial")
        compare(
            json.loads((twin / "record.json").read_text()),
            json.loads((folder / "record.json").read_text()),
            (twin, folder),
            relative=relative,
        )
    return list(records.values())


@pytest.mark.parametrize("model", SMALL)
def test_a_model_is_its_serial_twin(model: str, tmp_path: Path) -> None:
    """Records and all; the arithmetic of every model is in test_pack.py."""
    for record in twins(tmp_path, f"model={model}", *SMALLER.get(model, []), "optimizer=sgd"):
        assert record["replicas"] == 4


@pytest.mark.parametrize("optimizer", options("optimizer"))
@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
def test_every_optimizer_is(optimizer: str, scheduler: str, tmp_path: Path) -> None:
    twins(tmp_path, "model=mlp", "model.norm=batch", f"optimizer={optimizer}", f"scheduler={scheduler}")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_two_hundred_steps_are(model: str, optimizer: str, tmp_path: Path) -> None:
    long = ["trainer.max_steps=200", "trainer.log_every_n_steps=10", "data.val_every_n_steps=50"]
    twins(tmp_path, f"model={model}", f"optimizer={optimizer}", *long)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", [name for name in options("model") if name not in (*ALONE, *LIBRARIES)])
def test_two_hundred_steps_of_every_model_are(model: str, optimizer: str, tmp_path: Path) -> None:
    """On images so small that it takes minutes, and at rates at which training does not amplify rounding."""
    long = ["trainer.max_steps=200", "trainer.log_every_n_steps=10", "data.val_every_n_steps=100"]
    size = 12 if model.startswith("resnet") else 16
    images = ["data._target_=tiny.tiny", "data.name=tiny", f"+data.size={size}", "data.val_size=64"]
    small = [*images, "data.batch_size=8", f"optimizer.lr={0.001 if optimizer == 'sgd' else 0.0001}"]
    # Norms of gradients are of any size, so that only a relative difference says something of them.
    twins(tmp_path, f"model={model}", f"optimizer={optimizer}", *long, *small, seeds=1, relative=1e-10)


@pytest.mark.parametrize("init, optimizer", [("mup", "sgd"), ("orthogonal", "adam")])
def test_learning_rates_of_their_own_are(init: str, optimizer: str, tmp_path: Path) -> None:
    """Runs of one learning rate are neighbours, whose seeds come again with the next; muP multiplies each rate."""
    fixed = ["model=mlp", f"optimizer={optimizer}", "scheduler=onecycle"]
    records = twins(tmp_path, *fixed, inits=(init,), rates=(0.01, 0.003))
    assert [record["replicas"] for record in records] == [4] * 4


@pytest.mark.parametrize("rates", [(1e200,), (0.01, 1e200)], ids=["all", "some"])
@pytest.mark.parametrize(
    "steps, log, val",
    [(8, 3, 2), (8, 3, 4), (2, 3, 4), (2, 3, 2), (2, 2, 4)],
    ids=["found by a validation", "by a row", "by the last row", "by the last validation", "by a row that is the last"],
)
def test_replicas_that_diverge_at_any_moment_are(
    steps: int, log: int, val: int, rates: tuple[float, ...], tmp_path: Path
) -> None:
    """With the reason, the rows and the test results that they would have had by themselves: none."""
    at = [f"trainer.max_steps={steps}", f"trainer.log_every_n_steps={log}", f"data.val_every_n_steps={val}"]
    records = twins(tmp_path, "model=mlp", "optimizer=sgd", "scheduler=constant", *at, rates=rates)
    assert [record["status"] for record in records].count("diverged") == 4


def test_augmentation_clipping_and_data_dependent_initializers_are(tmp_path: Path) -> None:
    augmented = ["data.crop_padding=2", "data.cutout=5", "trainer.gradient_clip_val=0.5", "trainer.label_smoothing=0.1"]
    twins(tmp_path, "model=mlp", *augmented, inits=("lsuv", "orthogonal"))


def test_dropout_is(tmp_path: Path) -> None:
    """With the masks that a run of its seed draws."""
    for record in twins(tmp_path, "model=mlp", "model.norm=batch", "model.dropout=0.3"):
        assert record["replicas"] == 4


def test_learning_rates_that_an_initializer_scales_are(tmp_path: Path) -> None:
    """muP has its own groups of parameters, so it is another pack than the rest."""
    records = twins(tmp_path, "model=mlp", "optimizer=sgd", inits=("mup", "orthogonal"))
    assert [record["replicas"] for record in records] == [2, 2, 2, 2]


def test_a_replica_that_diverges_leaves_and_disturbs_none(tmp_path: Path) -> None:
    """Weights of 1e30 are no number after a step; the others go on as if alone."""
    wild = ["trainer.precision=32-true", "model=mlp", "optimizer=sgd"]
    both = train_packs([*configs(tmp_path / "a", *wild), *_exploding(tmp_path / "a", *wild)], most=64)
    assert sorted(record["status"] for record in both.values()) == ["diverged"] + ["finished"] * 4
    (gone,) = (record for record in both.values() if record["status"] == "diverged")
    (exploded,) = _exploding(tmp_path / "b", *wild)
    alone = run(exploded)
    assert alone is not None
    assert alone["reason"] == gone["reason"]
    without = train_packs(configs(tmp_path / "c", *wild), most=64)
    stayed = [record for record in both.values() if record is not gone]
    for one, other in zip(without.values(), stayed, strict=True):
        assert one["results"] == pytest.approx(other["results"], rel=1e-4)


def _exploding(folder: Path, *overrides: str) -> Any:
    return configs(folder, *overrides, "init.std=1e30", inits=("normal",), seeds=1)


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
        (["diagnostics=init"], "diagnostics"),
        (["diagnostics.every=4"], "diagnostics"),  # of diagnostics=none, which has the key, too
        (["optimizer.lr=O.1"], "optimizer.lr=O.1"),
        (["trainer.precision=bf16-mixed"], "trainer.precision=bf16-mixed"),
        (["+trainer.detect_anomaly=true"], "trainer.detect_anomaly"),
        (["trainer.gradient_clip_val=0"], "trainer.gradient_clip_val=0"),  # with Lightning: none
        (["trainer.deterministic=warn"], "trainer.deterministic=warn"),
        (["trainer.on_oom=hlave"], "trainer.on_oom=hlave"),
        (["trainer.log_every_n_steps=0"], "trainer.log_every_n_steps=0"),
        (["data.stream=true"], "images that are streamed"),
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
    assert "alone: what cannot be built or initialized" in capsys.readouterr().out


def test_runs_that_are_done_or_have_a_checkpoint_are_left(tmp_path: Path) -> None:
    first, second, *rest = configs(tmp_path, "model=mlp")
    run(first)
    Store(second).folder.mkdir(parents=True)
    Store(second).checkpoint.touch()
    assert set(train_packs([first, second, *rest], most=64)) == {Store(config).folder for config in rest}


def test_a_pack_that_was_stopped_stays_the_pack_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more runs around it, too; and what is left of one that ended otherwise is removed."""
    interrupted(tmp_path, 5, "model=mlp", monkeypatch=monkeypatch)
    more = configs(tmp_path, "model=mlp", seeds=3)
    records = train_packs(more, most=64)
    old = [record for record in records.values() if record["seed"] < 2]
    assert [(record["replicas"], len(record["resumed_at"])) for record in old] == [(4, 1)] * 4
    assert [record["replicas"] for record in records.values() if record["seed"] == 2] == [2, 2]
    interrupted(tmp_path / "b", 5, "model=mlp", monkeypatch=monkeypatch)
    one, *others = configs(tmp_path / "b", "model=mlp")
    run(one)
    assert [record["replicas"] for record in train_packs(others, most=64).values()] == [3] * 3
    assert list((tmp_path / "b").glob("*/.packs/*")) == []


def test_where_memory_runs_out_packs_are_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Small(packed_run.Pack):
        def backward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            if len(self) > 2:
                raise torch.OutOfMemoryError("more than two")
            return super().backward(images, labels)

    monkeypatch.setattr(packed_run, "Pack", Small)
    records = train_packs(configs(tmp_path, "model=mlp"), most=64)
    assert [record["replicas"] for record in records.values()] == [2, 2, 2, 2]
    assert "out of memory with 4 replicas: once more, with half as many" in capsys.readouterr().out


def interrupted(folder: Path, step: int, *overrides: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train a pack, and press Ctrl-C during this step."""

    class Interrupted(packed_run.Pack):
        steps = 0

        def step(self) -> None:
            super().step()
            self.steps += 1
            if self.steps == step:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(packed_run, "Pack", Interrupted)
        with pytest.raises(Stopped), stoppable():
            train_packs(configs(folder, *overrides), most=64)


@pytest.mark.parametrize("step", [1, 4, 7, 23])
def test_a_pack_that_was_stopped_goes_on_bit_for_bit(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first epoch and in the second, between rows and at one."""
    overrides = ["model=mlp", "model.norm=batch", "model.dropout=0.2"]
    overrides += ["data.val_size=4700", "data.crop_padding=2", "trainer.max_steps=30"]
    whole = train_packs(configs(tmp_path / "whole", *overrides), most=64)
    interrupted(tmp_path / "parts", step, *overrides, monkeypatch=monkeypatch)
    stopped = [json.loads(file.read_text()) for file in (tmp_path / "parts").glob("*/*/record.json")]
    assert [(record["status"], record["reason"]) for record in stopped] == [("interrupted", "stopped")] * 4
    parts = train_packs(configs(tmp_path / "parts", *overrides), most=64)
    for one, other in zip(whole.items(), parts.items(), strict=True):
        assert other[1]["attempt"] == 1
        assert len(other[1].pop("resumed_at")) == 1
        del one[1]["resumed_at"]
        one[1].pop("replicas")
        compare(other[1], one[1], (other[0], one[0]), within=0)
    assert list(tmp_path.glob("*/*/.packs/*")) == []


def test_a_replica_that_left_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = ["trainer.precision=32-true", "model=mlp", "optimizer=sgd"]
    both = [*configs(tmp_path, *wild), *_exploding(tmp_path, *wild)]
    monkeypatch.setattr(sys.modules[__name__], "configs", lambda *args, **kwargs: both)
    interrupted(tmp_path, 5, monkeypatch=monkeypatch)
    records = train_packs(both, most=64)
    assert sorted(record["status"] for record in records.values()) == ["diverged"] + ["finished"] * 4


def test_wrong_options_of_a_logger_are_found_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By themselves the runs are refused."""
    assert train_packs(configs(tmp_path, "model=mlp", "logger=csv", "+logger.colour=red"), most=64) == {}
    assert capsys.readouterr().out.count("alone: what cannot be built or initialized") == 4


def test_a_logger_that_fails_costs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = configs(tmp_path, "model=mlp", "logger=csv")
    store = Store(runs[0])
    store.folder.mkdir(parents=True)
    (store.folder / "csv").write_text("where its folder should be")
    records = train_packs(runs, most=64)
    assert [record["status"] for record in records.values()] == ["finished"] * 4
    assert capsys.readouterr().out.count("is not all in its logger: FileExistsError") == 1
    assert len(list(tmp_path.glob("*/*/csv/metrics.csv"))) == 3


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
    assert train_packs(configs(tmp_path, "model=mlp", "model._target_=drawn.Projecting", *SINGLE), most=64) == {}
    assert capsys.readouterr().out.count("alone: its model differs from the pack's in more than") == 4


def test_a_run_that_another_process_is_about_to_leave_is_waited_for(tmp_path: Path) -> None:
    """As are all of a sweep that was killed, whose workers save what they have."""
    runs = configs(tmp_path, "model=mlp")
    held = threading.Event()

    def leave() -> None:
        with lock(Store(runs[2]).folder):
            held.set()
            time.sleep(1)

    other = threading.Thread(target=leave)
    other.start()
    held.wait()
    records = train_packs(runs, most=64)
    other.join()
    assert [record["replicas"] for record in records.values()] == [4] * 4


def under_way(runs: list[dict[str, Any]]) -> Path:
    """As a sweep leaves a pack that it had decided and was stopped in; its checkpoint."""
    folders = [Store(config).folder for config in runs]
    roster.write(folders, slots=1)
    roster.checkpoint_of(folders).touch()
    return roster.checkpoint_of(folders)


def test_a_mistake_costs_no_checkpoint(tmp_path: Path) -> None:
    """When it is mended, the pack goes on."""
    runs = configs(tmp_path, "model=mlp", "logger=csv", "+logger.colour=red")
    checkpoint = under_way(runs)
    outcome = train_pack(runs)
    assert len(outcome.alone) == 4
    assert checkpoint.exists()


def test_what_another_sweep_is_at_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_run, "PATIENCE_SECONDS", 0.1)
    runs = configs(tmp_path, "model=mlp")
    checkpoint = under_way(runs)
    taken, over = threading.Event(), threading.Event()

    def train() -> None:
        with ExitStack() as locks:
            for config in runs:
                locks.enter_context(lock(Store(config).folder))
            taken.set()
            over.wait()

    other = threading.Thread(target=train)
    other.start()
    taken.wait()
    outcome = train_pack(runs)
    over.set()
    other.join()
    assert (outcome.records, outcome.alone) == ({}, {})
    assert checkpoint.exists()
    assert checkpoint.with_suffix(".json").exists()


def test_a_run_that_no_other_is_like_goes_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """muP has learning rates of its own."""
    runs = configs(tmp_path, "model=mlp", "optimizer=sgd", inits=("mup", "orthogonal"))[1:]
    assert [record["replicas"] for record in train_packs(runs, most=64).values()] == [2, 2]
    assert "alone: none other to be packed with" in capsys.readouterr().out


def test_forced_runs_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, 5, "model=mlp", monkeypatch=monkeypatch)
    forced = configs(tmp_path, "model=mlp", "force=true")
    Store(forced[0]).checkpoint.touch()  # of an attempt by itself, which nothing may go on from any more
    records = train_packs(forced, most=64)
    assert [(record["attempt"], record["resumed_at"]) for record in records.values()] == [(2, [])] * 4
    assert list(tmp_path.rglob("*.ckpt")) == []


@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_in_float32_the_first_step_agrees_but_for_rounding(model: str, tmp_path: Path) -> None:
    one = [
        "trainer.precision=32-true",
        "trainer.max_steps=1",
        "trainer.log_every_n_steps=1",
        "data.val_every_n_steps=1",
    ]
    overrides = [f"model={model}", "optimizer=sgd", *one]
    packed = train_packs(configs(tmp_path / "packed", *overrides), most=64)
    by_name = {folder.name: record for folder, record in packed.items()}
    for config in configs(tmp_path / "serial", *overrides):
        serial, record = run(config), by_name[Store(config).folder.name]
        assert serial is not None
        assert serial["initial_weights"] == record["initial_weights"]
        for name in ("train/loss", "val/loss", "test/loss"):
            assert record["results"][name] == pytest.approx(serial["results"][name], rel=1e-5)


@pytest.mark.slow
def test_in_float32_the_final_accuracies_agree_in_distribution(tmp_path: Path) -> None:
    """Rounding is amplified by training, as if it were another seed: single runs differ, twenty do not."""
    overrides = ["trainer.precision=32-true", "model=mlp", "model.norm=batch", "trainer.max_steps=60"]
    packed = train_packs(configs(tmp_path / "packed", *overrides, inits=("orthogonal",), seeds=20), most=64)
    serial = [run(config) for config in configs(tmp_path / "serial", *overrides, inits=("orthogonal",), seeds=20)]
    ours, theirs = ([record["results"]["test/accuracy"] for record in of if record] for of in (packed.values(), serial))
    assert stats.ks_2samp(ours, theirs).pvalue > 0.05
    assert abs(sum(ours) - sum(theirs)) / 20 < 0.01
