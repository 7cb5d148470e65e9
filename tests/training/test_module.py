"""The traps of initializing in on_fit_start, each as a test with the real Trainer."""

from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pytest
import torch
from configs import typed

from initbench.data import DataModule
from initbench.errors import UserMistake
from initbench.init import initialize, weights_digest
from initbench.training.build import build_run
from initbench.training.module import TaskModule
from initbench.training.trainer import build


def trained(
    config: dict[str, Any], *callbacks: L.Callback, ckpt_path: Path | None = None, draws: int = 0
) -> tuple[Any, L.Trainer]:
    """`draws`: how many numbers are drawn from torch's global generator between building and training."""
    settings = typed(config)
    parts = build_run(settings)
    torch.rand(draws)
    every = parts.data.val_every_n_steps
    trainer = build(settings.trainer, val_every_n_steps=every, callbacks=list(callbacks), loggers=[])
    # weights_only: the checkpoint is one of ours, written a moment ago.
    module, data = TaskModule(parts.recipe), DataModule(parts.data)
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path, weights_only=False)
    return parts.recipe, trainer


class Spy(L.Callback):
    """What the parameters are, and to whom they belong, right after the initializer."""

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = {name: p.detach().clone() for name, p in pl_module.model.named_parameters()}
        held = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
        self.optimizer_holds_them = held == {id(p) for p in pl_module.model.parameters()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.at_start = weights_digest(pl_module.model)


def test_the_hook_applies_the_initializer_to_the_parameters_that_are_trained(small: Any) -> None:
    spy = Spy()
    config = small("init=orthogonal", "init.gain=1", "seed=3")
    recipe, _ = trained(config, spy)
    alone = initialize(build_run(typed(config)).recipe.model, "orthogonal", gain=1, seed=3)
    for name, parameter in alone.named_parameters():
        assert torch.equal(spy.weights[name], parameter)
    assert spy.optimizer_holds_them
    assert recipe.initial_weights == weights_digest(alone)
    assert weights_digest(recipe.model) != recipe.initial_weights  # it was trained since
    assert recipe.seconds_init > 0
    assert [row["parameter"] for row in recipe.init_table] == [name for name, _ in alone.named_parameters()]


def test_a_resumed_run_is_not_initialized_again(small: Any, tmp_path: Path) -> None:
    config = small("init=kaiming_normal")
    recipe, trainer = trained(config)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    longer = small("init=kaiming_normal", "trainer.max_steps=12")
    spy = Spy()
    resumed, trainer = trained(longer, spy, ckpt_path=tmp_path / "last.ckpt")
    assert spy.at_start == weights_digest(recipe.model)
    assert resumed.initial_weights == recipe.initial_weights
    assert trainer.global_step == 12


def test_what_a_record_says_of_the_start_is_in_the_checkpoint(small: Any, tmp_path: Path) -> None:
    """Also that batches are halved since the device was out of memory: the resumed run would be again."""
    recipe, trainer = trained(small("init=kaiming_normal"))
    recipe.micro_batches, recipe.init_numbers = 2, {"steps": 3}
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    resumed, _ = trained(small("init=kaiming_normal", "trainer.max_steps=12"), ckpt_path=tmp_path / "last.ckpt")
    assert resumed.micro_batches == 2
    for name in ("initialized", "init_table", "init_numbers", "initial_weights", "seconds_init"):
        assert getattr(resumed, name) == getattr(recipe, name), name


@pytest.mark.parametrize("channels_last", ["true", "false"])
def test_weights_do_not_depend_on_memory_format_or_dtype(small: Any, channels_last: str) -> None:
    overrides = ("model=lenet", f"trainer.channels_last={channels_last}", "trainer.max_steps=1")
    single, _ = trained(small(*overrides))
    double, _ = trained(small(*overrides, "trainer.precision=64-true"))
    assert single.initial_weights == double.initial_weights
    assert next(double.model.parameters()).dtype == torch.float64


@pytest.mark.gpu
def test_weights_do_not_depend_on_the_device(small: Any) -> None:
    on_cpu, _ = trained(small())
    on_gpu, _ = trained(small("trainer.accelerator=gpu"))
    assert on_cpu.initial_weights == on_gpu.initial_weights


def test_dropout_depends_on_the_seed_and_not_on_what_was_drawn_before(small: Any) -> None:
    """A constructor or an initializer may draw any number of times: the same seed drops the same units."""
    config = small("init=constant", "init.value=0.01", "model.dropout=0.5")
    (a, _), (b, _) = trained(config), trained(config, draws=7)
    assert weights_digest(a.model) == weights_digest(b.model)
    parts = build_run(typed(small("init=constant", "init.value=0.01", "model.dropout=0.5", "seed=5")))
    torch.manual_seed(0)
    TaskModule(parts.recipe).on_train_start()
    assert torch.initial_seed() == 5


def test_what_needs_data_sees_the_first_batch_of_training_not_augmented(small: Any) -> None:
    """The same as the library gives on that batch; the statistics of norms are those of training alone."""
    model = ("model=resnet20", "model.depth=8")
    config = small("init=lsuv", *model, "data.crop_padding=2", "trainer.max_steps=1", "seed=3")
    recipe, _ = trained(config)
    parts = build_run(typed(config))
    batch = parts.data.fixed_batch(torch.device("cpu"))
    assert len(batch[0]) == config["data"]["batch_size"]
    first = next(iter(parts.data.loader("train", torch.device("cpu"))))
    assert torch.equal(batch[1], first[1])
    assert torch.equal(batch[0], parts.data.prepare(first[0]))
    alone = initialize(parts.recipe.model, "lsuv", seed=3, batch=batch)
    assert recipe.initial_weights == weights_digest(alone)
    assert recipe.init_numbers["steps"] >= 1
    assert int(recipe.model.norm1.num_batches_tracked) == 1


def test_a_method_that_fails_on_the_weights_is_a_mistake_of_the_config(small: Any) -> None:
    with pytest.raises(UserMistake, match="layer linear1 is dead"):
        trained(small("init=lsuv", "init.weight=zeros"))


def test_a_frozen_layer_keeps_its_initial_weights(small: Any) -> None:
    """Patch whitening gives the first convolution a learning rate of zero; the schedule's is what is logged."""
    spy = Spy()
    overrides = (
        "init=patch_whitening",
        "model=lenet",
        "optimizer=adamw",
        "optimizer.weight_decay=0.1",
        "optimizer.lr=0.002",
    )
    recipe, trainer = trained(small(*overrides, "scheduler=constant"), spy)
    assert torch.equal(recipe.model.conv1.weight, spy.weights["conv1.weight"])
    assert not torch.equal(recipe.model.conv2.weight, spy.weights["conv2.weight"])
    rates = [(group["lr_multiplier"], group["lr"]) for group in trainer.optimizers[0].param_groups]
    assert rates[0] == (1.0, 0.002)
    assert (0.0, 0.0) in rates


@pytest.mark.parametrize("size", [5, 6])
def test_the_parts_of_a_batch_have_shares_by_their_samples(small: Any, size: int) -> None:
    """Of five samples three and two: the shares add up to the loss of the whole, and the sums are the same."""
    parts = build_run(typed(small("model=mlp")))
    parts.recipe.initialize(parts.data)
    inputs, targets = (part[:size] for part in parts.data.fixed_batch(torch.device("cpu")))
    module = TaskModule(parts.recipe)
    found = []
    for number in (1, 2):
        parts.recipe.micro_batches = number
        first = module.training_step((inputs, targets), 0)
        found.append(float(first.detach() + sum(module._share(part, "train").detach() for part in module._waiting)))
        means = module.meters["train"].compute(lambda sums: sums)
        assert means["loss"] == pytest.approx(found[0], rel=1e-5)
        for stage, step in (("val", module.validation_step), ("test", module.test_step)):
            step((inputs, targets), 0)
            assert module.meters[stage].compute(lambda sums: sums)["loss"] == pytest.approx(found[0], rel=1e-5)
        assert len(torch.cat(module.meters["test"].values)) == number * size
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("init, batch", [("lsuv", 0), ("orthogonal", None)])
def test_a_record_says_whether_the_initializer_saw_data(small: Any, init: str, batch: int | None) -> None:
    recipe = build_run(typed(small(f"init={init}"))).recipe
    recipe.micro_batches, recipe.initial_weights, recipe.init_numbers = 2, "abc", {"steps": 3.0}
    assert recipe.fields() == {
        "init_numbers": {"steps": 3.0},
        "init_batch": batch,
        "micro_batches": 2,
        "initial_weights": "abc",
        "device": "cpu",
    }
