"""A run from config to record, for real, on the bundled digits."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from configs import REAL_DATA, of_model, options, typed

import initbench
from initbench.config.check import check
from initbench.errors import UserMistake
from initbench.record.store import Store
from initbench.training.build import build_run
from initbench.training.module import TaskModule
from initbench.training.run import run


def test_a_run_leaves_its_whole_record(small: Any) -> None:
    config = small("trainer.max_steps=62", "trainer.log_every_n_steps=10", "data.val_every_n_steps=20")
    record = run(config)
    folder = Store(config).folder
    on_disk = json.loads((folder / "record.json").read_text())
    assert on_disk["status"] == record["status"] == "finished"
    assert on_disk["config"] == config
    assert on_disk["steps"] == on_disk["total_steps"] == 62
    assert on_disk["results"]["test/accuracy"] > 0.8
    assert on_disk["results"]["chance_loss"] == pytest.approx(math.log(10))
    history = pd.read_parquet(folder / "history.parquet")
    # Step 0, the fixed cadence, and the end.
    assert history.dropna(subset="val/accuracy")["step"].tolist() == [0, 20, 40, 60, 62]
    assert history.dropna(subset="train/loss")["step"].tolist() == [10, 20, 30, 40, 50, 60, 62]
    assert history["seconds"].is_monotonic_increasing
    assert history["seconds"].iloc[-1] <= on_disk["seconds_train"]
    parameters = pd.read_parquet(folder / "parameters.parquet")
    assert parameters["parameter"].is_unique
    hit = on_disk["targets"]["0.8"]
    first = history[history["val/accuracy"] >= 0.8].iloc[0]
    assert hit["steps"] == first["step"]
    assert hit["seconds"] == pytest.approx(first["seconds"] + on_disk["seconds_init"])


def test_the_same_config_gives_the_same_bits(small: Any, tmp_path: Path) -> None:
    config = small("model=lenet", "data.flip=true", "data.crop_padding=2", "data.cutout=4")
    records = [run({**config, "runs_dir": str(tmp_path / name)}) for name in "ab"]
    a, b = ({k: v for k, v in r["results"].items() if v is not None} for r in records)
    assert a == b
    assert records[0]["initial_weights"] == records[1]["initial_weights"]
    frames = [pd.read_parquet(next((tmp_path / name).rglob("history.parquet"))) for name in "ab"]
    pd.testing.assert_frame_equal(*(frame.drop(columns="seconds") for frame in frames))


def test_another_seed_gives_other_numbers(small: Any) -> None:
    a, b = run(small("seed=0")), run(small("seed=1"))
    assert a["initial_weights"] != b["initial_weights"]
    assert a["results"]["test/loss"] != b["results"]["test/loss"]


def test_a_diverging_run_says_so_and_stops(small: Any) -> None:
    record = run(small("optimizer=sgd", "optimizer.lr=1e12", "trainer.max_steps=40", "init=kaiming_normal"))
    assert record["status"] == "diverged"
    assert "loss" in record["reason"] or "gradient" in record["reason"]
    assert record["steps"] < 40
    assert "test/accuracy" not in record["results"]
    assert record["targets"]["0.95"] == {**record["targets"]["0.95"], "reached": False, "reason": "diverged"}


def test_weights_that_are_not_finite_diverge_before_the_first_step(small: Any) -> None:
    record = run(small("init=constant", "init.value=3e38"))
    assert (record["status"], record["steps"]) == ("diverged", 0)
    assert record["reason"] == "validation loss nan at step 0"


def test_gradient_clipping_is_applied_and_the_norm_is_that_before(small: Any) -> None:
    config = small("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "optimizer.weight_decay=0")
    config["trainer"].update(gradient_clip_val=1e-6, max_steps=2, log_every_n_steps=1)
    record = run(config)
    history = pd.read_parquet(Store(config).folder / "history.parquet")
    assert history["train/grad_norm"].max() > 0.01
    start, end = history["val/loss"].iloc[[0, -1]]
    assert start == pytest.approx(end, abs=1e-5)
    assert record["status"] == "finished"


@pytest.mark.parametrize("init", [pytest.param("kaiming_normal", marks=pytest.mark.slow), "lsuv"])
def test_two_processes_start_from_the_weights_of_one_and_agree_with_it(small: Any, init: str) -> None:
    """Gloo on the CPU. The batch is shared out, so sums are taken in another order: equal within float tolerance."""
    overrides = (f"init={init}", "trainer.max_steps=20", "optimizer=sgd", "optimizer.lr=0.01", "trainer.threads=1")
    one, two = run(small(*overrides)), run(small(*overrides, "trainer.devices=2"))
    assert two["status"] == "finished"
    assert two["initial_weights"] == one["initial_weights"]
    for key in ("val/loss", "test/loss", "train/loss"):
        assert two["results"][key] == pytest.approx(one["results"][key], rel=1e-3)
    folder = Store(small(*overrides, "trainer.devices=2")).folder
    assert len(pd.read_parquet(folder / "history.parquet")) == len(
        pd.read_parquet(Store(small(*overrides)).folder / "history.parquet")
    )


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(["task=regression", "data=curves", "data.size=400", "model=mlp"], marks=pytest.mark.slow),
        [
            "task=language_model",
            "data=text_mini",
            "data.size=3000",
            "data.context_length=16",
            "model=gpt",
            "model.width=16",
        ],
    ],
    ids=["regression", "language_model"],
)
def test_two_processes_agree_with_one_on_other_tasks(small: Any, task: list[str]) -> None:
    overrides = (*task, "data.batch_size=16", "optimizer=sgd", "optimizer.lr=0.01", "trainer.threads=1")
    one, two = run(small(*overrides)), run(small(*overrides, "trainer.devices=2"))
    assert two["initial_weights"] == one["initial_weights"]
    measured = [key for key in one["results"] if key.startswith(("val/", "test/", "train/"))]
    assert len(measured) > 5
    for key in measured:
        assert two["results"][key] == pytest.approx(one["results"][key], rel=1e-3), key


@pytest.mark.parametrize(
    "override, message",
    [
        ("seed=-1", r"seed must be a whole number in \[0, 4294967296\), got -1"),
        ("trainer.devices=4096", "trainer.devices=4096, but this machine has"),
        ("trainer.devices=0", "at least 1, got 0"),
        ("trainer.precision=33", "trainer.precision must be 16-mixed, .*, got 33"),
        ("+trainer.max_epoch=3", "no argument 'max_epoch'. Did you mean 'max_epochs'"),
        ("trainer.threads=0", r"trainer.threads must be a whole number in \[1, 1024\] or null, got 0"),
        ("trainer.float32_matmul_precision=hihg", "Did you mean 'high'"),
        ("task.label_smoothing=1", r"task.label_smoothing must be a number in \[0, 1\), got 1"),
        ("data.batch_size=9999", "data.batch_size=9999 is more than the 4000 images to train on"),
        ("data.targets=[1.5]", "data.targets must be above 0 and below 1 for accuracy, got 1.5"),
        ("task.targets=[0]", r"task.targets must be a list of numbers in \(0, 1\) or null, got \[0\]"),
        ("model.nonlinearity=rellu", "Did you mean 'relu'"),
        ("init.nonlinearity=rellu", "Did you mean 'relu'"),
        ("init.rules=[{match: conv1, weight: eye}]", "'conv1' matches no weight"),
        ("+optimizer.lrr=3", "unknown key optimizer.lrr. Did you mean 'lr'"),
        ("+scheduler.foo=3", "unknown key scheduler.foo. cosine takes: warmup_fraction, final_fraction"),
        ("runs_dir=/dev/null/runs", "is not writable"),
        ("trainer.log_every_n_steps=0", "log_every_n_steps must be a whole number of at least 1, got 0"),
        ("trainer.max_epochs=three", "trainer.max_epochs must be a whole number of at least -1 or null, got 'three'"),
        ("+trainer.accumulate_grad_batches=2", "would change what a step is worth"),
        ("+trainer.limit_train_batches=10", "would change what a step is worth"),
        ("+optimizer.foreach=true", "cannot both be True|fused"),
        ("optimizer.betas=[0.9]", r"optimizer.betas must be a list of 2 numbers in \[0, 1\), got \[0.9\]"),
        ("init.attention_in=zeros", "attention_in is given, but the model has no parameter of that role"),
        ("trainer.max_steps=0", "nothing"),
    ],
)
def test_a_users_mistake_is_refused_and_leaves_nothing(small: Any, tmp_path: Path, override: str, message: str) -> None:
    config = small(override)
    if override == "trainer.max_steps=0":
        message = "nothing would be trained"
    with pytest.raises(UserMistake, match=message):
        check(config)
        run(config)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_cannot_be_shared_out_is_refused_before_any_process_starts(small: Any) -> None:
    with pytest.raises(UserMistake, match="batch_size=65 must be divisible by the number of devices, 2"):
        run(small("data.batch_size=65", "trainer.devices=2"))


@pytest.mark.parametrize(
    "sizes, message",
    [
        (["data.test_size=0.1", "data.val_size=2"], "1 test row cannot be shared out over 2 devices"),
        (["data.test_size=0.3", "data.val_size=1"], "1 val row cannot be shared out over 2 devices"),
    ],
)
def test_samples_that_cannot_be_shared_out_are_refused_before_any_process_starts(
    small: Any, tmp_path: Path, sizes: list[str], message: str
) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{row},{row % 3}\n" for row in range(8)))
    table = ["task=regression", "data=table", f"data.file={tmp_path}/t.csv", "data.target=b", "data.batch_size=2"]
    with pytest.raises(UserMistake, match=message):
        run(small(*table, *sizes, "trainer.devices=2"))


def test_a_logger_that_is_refused_leaves_no_run_that_seems_to_go_on(small: Any) -> None:
    config = small("logger=wandb", "logger.mode=onlin")
    with pytest.raises(UserMistake, match=r"unknown logger\.mode 'onlin'"):
        run(config)
    assert Store(config).read() is None


def test_label_smoothing_is_of_the_training_loss_alone(small: Any) -> None:
    """What is validated is plain cross entropy; what is trained on is at least the labels' entropy."""
    plain, smooth = (run(small(f"task.label_smoothing={share}")) for share in (0.0, 0.5))
    assert plain["results"]["val/loss_at_start"] == smooth["results"]["val/loss_at_start"]
    label, other = 0.5 + 0.05, 0.05
    assert smooth["results"]["train/loss"] > -label * math.log(label) - 9 * other * math.log(other)
    assert smooth["results"]["train/loss"] > plain["results"]["train/loss"]


def test_threads_of_one_run_do_not_stay_for_the_next(small: Any) -> None:
    before = torch.get_num_threads()
    run(small("trainer.threads=2", "trainer.float32_matmul_precision=high"))
    assert torch.get_num_threads() == 2
    assert torch.get_float32_matmul_precision() == "high"
    run(small("seed=1"))
    assert torch.get_num_threads() == before
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_crash_is_recorded_with_its_traceback_and_raised(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("initbench.training.run.fit", broken)
    config = small()
    with pytest.raises(RuntimeError, match="on fire"):
        run(config)
    record = Store(config).read()
    assert record is not None
    assert record["status"] == "failed"
    assert record["reason"] == "RuntimeError: the disk is on fire"
    assert "in broken" in record["traceback"]
    monkeypatch.undo()
    assert run(config)["attempt"] == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_measured_before_a_run_broke_off_is_kept(
    error: type[BaseException], small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows and diagnostics, though less than the seconds between two writes have passed."""
    training_step = TaskModule.training_step

    def breaking(self: TaskModule, batch: Any, batch_idx: int) -> Any:
        if self.trainer.global_step == 6:
            raise error
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(TaskModule, "training_step", breaking)
    config = small("diagnostics=init", "diagnostics.every=2")
    with pytest.raises((error, SystemExit)):  # with which Lightning ends after Ctrl-C
        run(config)
    folder = Store(config).folder
    assert pd.read_parquet(folder / "history.parquet")["step"].tolist() == [0, 2, 4, 6]
    assert pd.read_parquet(folder / "layers.parquet")["step"].unique().tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("name", options("trainer"))
def test_every_trainer_option(small: Any, name: str) -> None:
    assert run(small(f"trainer={name}", "trainer.max_steps=2"))["status"] == "finished"


SMALL_RESNET, SMALL_VIT = ("model=resnet20", "model.depth=8", "model.width=4"), ("model=vit", "model.depth=2")
SMALL_GPT = ("task=language_model", "model=gpt", "model.depth=1", "model.width=16", "model.tied=false")
# What LeNet lacks for an option, and a model that has it. Every other option of conf/init/ is run on LeNet.
ELSEWHERE: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("transformer", "gpt2", "small_init", "wang"), ("needs residual branches", SMALL_VIT)),
    **dict.fromkeys(
        ("llama_depth", "llama_depth_fixed", "megatron", "mitchell", "nanochat"), ("needs residual branches", SMALL_GPT)
    ),
    **dict.fromkeys(("admin", "admin_torch"), ("needs residual branches", (*SMALL_VIT, "model.norm=post"))),
    "chrono": ("needs recurrent layers", ("model=lstm", "model.hidden_size=16")),
    "complete_p": ("needs residual branches", (*SMALL_VIT, "optimizer=adamw")),
    "deepnorm": ("needs residual branches", (*SMALL_VIT, "model.norm=post")),
    "fixup": ("needs residual branches", (*SMALL_RESNET, "model.norm=fixup")),
    "irnn": ("irnn needs recurrent layers", ("model=rnn", "model.nonlinearity=relu", "model.hidden_size=16")),
    "lstm": ("lstm needs recurrent layers", ("model=lstm", "model.hidden_size=16")),
    "mimetic": ("needs self-attention layers", SMALL_VIT),
    "rezero": ("needs gates", (*SMALL_RESNET, "model.gate=true")),
    "skipinit": ("needs gates", (*SMALL_RESNET, "model.gate=true", "model.norm=none")),
    "sub_ln": ("needs residual branches", SMALL_VIT),
    "t_fixup": ("needs residual branches", (*SMALL_VIT, "model.norm=none")),
    "tanh_fixed_point": ("is defined on matrices", ("model=mlp", "model.nonlinearity=tanh")),
    "zero_gamma": ("needs residual branches", SMALL_RESNET),
}
FEW_STEPS = {"gradinit": ["init.steps=2"], "metainit": ["init.steps=2"]}


def test_options_for_other_models_exist() -> None:
    assert set(ELSEWHERE) | set(FEW_STEPS) | {"state_dict", "weight_selection", "between"} <= set(options("init"))


@pytest.mark.parametrize("name", options("init"))
def test_every_initializer_trains_a_small_net(small: Any, tmp_path: Path, name: str) -> None:
    model: tuple[str, ...] = ("model=lenet",)
    own = FEW_STEPS.get(name, [])
    if name in ELSEWHERE:
        model = ELSEWHERE[name][1]
    if name in ("state_dict", "weight_selection"):
        weights = tmp_path / "weights.pt"
        torch.save(build_run(typed(small(*model))).recipe.model.state_dict(), weights)
        own = [f"init.path={weights}"]
    if name == "between":
        own = ["init.a=default", "init.b=orthogonal", "init.parts=[input,head]", "init.from_b=[head]"]
    record = run(small(f"init={name}", *model, *own, "trainer.max_steps=2"))
    assert record["status"] == "finished"
    assert record["init"].partition("(")[0] == name


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_refused_initializer_leaves_nothing(small: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserMistake, match=ELSEWHERE[name][0]):
        run(small(f"init={name}", "model=lenet"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", options("model"))
def test_every_model_is_composed_and_initialized(small: Any, name: str) -> None:
    """Training each takes minutes (tests/model takes the steps); here that the initializer covers it."""
    parts = build_run(typed(small(*of_model(name), "init=kaiming_normal", "data.batch_size=2")))
    assignments = parts.recipe.initializer.plan(parts.recipe.model)
    assert len(assignments) == len(list(parts.recipe.model.parameters()))


@pytest.mark.skipif(REAL_DATA is None, reason="INITBENCH_DATA names no folder with real data")
def test_lenet_learns_real_mnist(small: Any) -> None:
    record = run(small("model=lenet", "data=mnist", f"data_dir={REAL_DATA}", "trainer.max_steps=300"))
    assert record["results"]["test/accuracy"] > 0.9


@pytest.mark.slow
@pytest.mark.skipif(REAL_DATA is None, reason="INITBENCH_DATA names no folder with real data")
def test_a_plain_net_learns_real_photographs(small: Any, tmp_path: Path) -> None:
    overrides = (
        "model=plain_cnn",
        "model.depth=4",
        "data=image_folder",
        "data.folder=cifar10-jpeg",
        "data.image_size=32",
    )
    record = run(small(*overrides, f"data_dir={REAL_DATA}", "trainer.max_steps=150", "data.val_every_n_steps=150"))
    assert record["results"]["test/accuracy"] > 0.25  # chance is .10


def test_the_public_face(small: Any, tmp_path: Path) -> None:
    run(small("study=a"))
    run(small("study=b", "init=zeros"))
    frame = initbench.load_runs(tmp_path / "runs")
    assert sorted(frame["study"]) == ["a", "b"]
    assert set(frame["init"]) == {"kaiming_normal", "zeros"}
    for column in ("model", "data", "seed", "lr", "status", "signature", "path", "seconds_init", "seconds_train"):
        assert frame[column].notna().all(), column
    for column in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy"):
        assert frame[column].between(0, 20).all(), column
    assert "steps_to_0.95" in frame


@pytest.mark.slow
def test_a_compiled_run_starts_from_the_same_weights_and_agrees(small: Any) -> None:
    """Compiling takes half a minute on a CPU; sums are fused, so results agree within float tolerance."""
    overrides = ("optimizer=sgd", "optimizer.lr=0.01")
    eager, compiled = run(small(*overrides)), run(small(*overrides, "trainer.compile=true"))
    assert compiled["initial_weights"] == eager["initial_weights"]
    assert compiled["results"]["test/loss"] == pytest.approx(eager["results"]["test/loss"], rel=1e-3)
    # Counted, and paid once: another model of the same class finds its graphs compiled.
    again = run(small(*overrides, "trainer.compile=true", "seed=1"))
    assert again["seconds_compile"] == eager["seconds_compile"] == 0 < compiled["seconds_compile"]
