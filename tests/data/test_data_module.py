import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from initbench.data.arrays import Arrays
from initbench.data.images import ImageData
from initbench.data.module import DataModule
from initbench.sizes import Sizes

CPU = torch.device("cpu")
MakeModule = Callable[..., ImageData]


def epoch(module: ImageData, stage: str = "train", **shard: int) -> list[tuple[Tensor, Tensor]]:
    return list(module.loader(stage, CPU, **shard))


def same(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(first, second, strict=True)
    )


def test_it_describes_the_data(make_module: MakeModule) -> None:
    module = make_module()
    assert (module.name, module.sizes) == ("random", Sizes(60, (1, 5, 5), num_classes=3))
    assert (len(module.train), len(module.val), len(module.tensors("test", CPU)[0])) == (50, 10, 20)
    assert module.steps_per_epoch == len(epoch(module)) == 6
    assert (module.targets, module.val_every_n_steps) == ((0.5, 0.9), 3)


def test_the_seed_orders_training_and_nothing_else(make_module: MakeModule) -> None:
    first, again, other = make_module(seed=1), make_module(seed=1), make_module(seed=2)
    assert same(epoch(first), epoch(again))
    assert not same(epoch(first), epoch(other))
    assert same(epoch(first, "val"), epoch(other, "val"))
    assert same(epoch(first, "test"), epoch(other, "test"))


def test_evaluation_reads_the_right_images_in_order(
    make_module: MakeModule, make_arrays: Callable[..., Arrays]
) -> None:
    arrays = make_arrays(train=4000, test=2300)
    module = make_module(arrays, val_size=1500)
    tests = epoch(module, "test")
    assert torch.equal(torch.cat([images for images, _ in tests]), arrays.test_images)
    assert torch.equal(torch.cat([labels for _, labels in tests]), arrays.test_labels)
    held_out = torch.cat([images for images, _ in epoch(module, "val")])
    assert len(held_out) == 1500
    trained = {image.numpy().tobytes() for images, _ in epoch(module) for image in images}
    assert trained.isdisjoint(image.numpy().tobytes() for image in held_out)


@pytest.mark.parametrize("workers", [0, 3])
def test_resident_and_streamed_batches_are_the_same(make_module: MakeModule, workers: int) -> None:
    resident, streamed = make_module(stream=False), make_module(stream=True, num_workers=workers)
    assert (resident.streams, streamed.streams) == (False, True)
    for stage in ("train", "val", "test"):
        assert same(epoch(resident, stage), epoch(streamed, stage))
        assert same(epoch(resident, stage, rank=1, world=2), epoch(streamed, stage, rank=1, world=2))


def test_large_datasets_are_streamed(make_module: MakeModule) -> None:
    nbytes = 80 * 25
    assert not make_module(stream="auto", max_resident_gb=nbytes / 1e9).streams
    assert make_module(stream="auto", max_resident_gb=(nbytes - 1) / 1e9).streams


@pytest.mark.parametrize("stage", ["train", "val", "test"])
def test_ranks_partition_the_data(make_module: MakeModule, stage: str) -> None:
    whole = epoch(make_module(), stage)
    shards = [epoch(make_module(), stage, rank=rank, world=4) for rank in range(4)]
    for batch, *parts in zip(whole, *shards, strict=True):
        joined = sorted(image.numpy().tobytes() for images, _ in parts for image in images)
        assert joined == sorted(image.numpy().tobytes() for image in batch[0])


def test_preparing_normalises(make_module: MakeModule, make_arrays: Callable[..., Arrays]) -> None:
    module = make_module(make_arrays(train=500, channels=3))
    images = torch.cat([images for images, _ in epoch(module)])
    expected = (images / 255 - module.mean.view(-1, 1, 1)) / module.std.view(-1, 1, 1)
    prepared = module.prepare(images)
    assert prepared.dtype == torch.float32
    torch.testing.assert_close(prepared, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(prepared.mean((0, 2, 3)), torch.zeros(3), atol=0.02, rtol=0)
    torch.testing.assert_close(prepared.std((0, 2, 3)), torch.ones(3), atol=0.02, rtol=0)


@pytest.mark.parametrize("setting", [{"flip": True}, {"crop_padding": 2}, {"cutout": 3}])
def test_augmentation_derives_from_seed_step_and_rank(make_module: MakeModule, setting: dict[str, Any]) -> None:
    module, again, other = make_module(**setting), make_module(**setting), make_module(seed=5, **setting)
    images, _ = epoch(module, "val")[0]
    step_3 = module.prepare(images, step=3)
    module.prepare(images, step=4)
    assert torch.equal(step_3, module.prepare(images, step=3)), "whatever was drawn before"
    assert torch.equal(step_3, again.prepare(images, step=3))
    for different in (
        module.prepare(images),
        module.prepare(images, step=4),
        module.prepare(images, step=3, rank=1),
        other.prepare(images, step=3),
    ):
        assert not torch.equal(step_3, different)


def test_augmentation_leaves_the_global_generator_alone(make_module: MakeModule) -> None:
    """Dropout draws from it: two runs must differ in what their configs say, not in how images are fed."""
    module = make_module(flip=True, crop_padding=1, cutout=2, stream=True)
    before = torch.get_rng_state()
    for step, (images, _) in enumerate(epoch(module)):
        module.prepare(images, step=step)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"batch_size": 51}, "data.batch_size=51 is more than the 50 images to train on"),
        ({"val_size": 60}, "data.val_size=60 holds 60 of 60 training images out: 1 to 59 can be"),
        ({"val_size": 0.001}, "data.val_size=0.001 holds 0 of 60"),
        ({"val_size": 59}, "data.batch_size=8 is more than the 1 image to train on"),
        ({"crop_padding": 5}, "data.crop_padding=5 is more than the 4 pixels that a reflection has"),
        ({"cutout": 6}, "data.cutout=6 is more than the 5 pixels of a side"),
    ],
)
def test_a_setting_that_does_not_suit_is_refused(
    make_module: MakeModule, setting: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_module(**setting)


def test_the_limits_themselves_are_allowed(make_module: MakeModule) -> None:
    module = make_module(batch_size=50, crop_padding=4, cutout=5, targets=[])
    (images, _), = epoch(module)  # fmt: skip  # one pair, unpacked
    assert module.prepare(images, step=0).shape == (50, 1, 5, 5)
    assert len(make_module(val_size=0.25).val) == 15


def test_data_that_cannot_be_shared_out_is_refused(make_module: MakeModule) -> None:
    with pytest.raises(ValueError, match="batch_size=8 must be divisible by the number of devices, 3"):
        make_module().loader("train", CPU, world=3)
    with pytest.raises(ValueError, match="10 val images cannot be shared out over 16 devices"):
        make_module().loader("val", CPU, world=16)


class Linear(LightningModule):
    """Keeps what it was given: (step, labels, images) while training, labels in validation and test."""

    def __init__(self, module: ImageData) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(module.sizes.given["in_features"], 3)
        self.trained: list[tuple[int, list[int], Tensor]] = []
        self.evaluated: dict[str, list[Tensor]] = {"val": [], "test": []}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        self.trained.append((self.global_step, labels.tolist(), images))
        return torch.nn.functional.cross_entropy(self.layer(images.flatten(1)), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluated["val"].append(batch[0])

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.evaluated["test"].append(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def make_trainer(steps: int, folder: Path, **kwargs: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **kwargs,
    )


# Lightning 2.6 asks for a class that torch 2.15 deprecates.
LEAF_SPEC = pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
AUGMENTED = {"flip": True, "crop_padding": 2, "cutout": 2}


@LEAF_SPEC
@pytest.mark.parametrize("stream", [False, True])
def test_a_trainer_trains_validates_and_tests(make_module: MakeModule, tmp_path: Path, stream: bool) -> None:
    """Two epochs and a bit: augmented by step while training, plain in evaluation, reordered each epoch."""
    module, reference = (make_module(stream=stream, **AUGMENTED) for _ in range(2))
    model = Linear(module)
    trainer = make_trainer(14, tmp_path)
    trainer.fit(model, datamodule=DataModule(module))
    trainer.test(model, datamodule=DataModule(module), verbose=False)

    loader = reference.loader("train", CPU)
    expected = []
    for number in range(3):
        loader.sampler.set_epoch(number)
        expected += list(loader)
    assert len(model.trained) == 14
    for step, ((seen, numbers, images), (raw, labels)) in enumerate(zip(model.trained, expected, strict=False)):
        assert (seen, numbers) == (step, labels.tolist())
        assert torch.equal(images, reference.prepare(raw, step=step))
    assert model.trained[0][1] != model.trained[6][1], "another epoch, another order"
    for stage, times in (("val", 4), ("test", 1)):
        plain = [reference.prepare(images) for images, _ in epoch(reference, stage)]
        assert all(torch.equal(a, b) for a, b in zip(model.evaluated[stage], plain * times, strict=True))


class SaveAt(Callback):
    """Saves once, at the end of a training step, where ModelCheckpoint does."""

    def __init__(self, step: int, file: Path) -> None:
        self.step, self.file = step, file

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.file)


@LEAF_SPEC
@pytest.mark.parametrize("stop", [3, 6, 8])  # in the first epoch, at its end, in the second
def test_a_resumed_run_sees_what_it_would_have_seen(make_module: MakeModule, tmp_path: Path, stop: int) -> None:
    whole, resumed, file = Linear(make_module()), Linear(make_module()), tmp_path / "run.ckpt"
    make_trainer(14, tmp_path, callbacks=[SaveAt(stop, file)]).fit(
        whole, datamodule=DataModule(make_module(**AUGMENTED))
    )
    make_trainer(14, tmp_path).fit(
        resumed, datamodule=DataModule(make_module(**AUGMENTED)), ckpt_path=file, weights_only=True
    )
    for (step, labels, images), (expected_step, expected_labels, expected) in zip(
        resumed.trained, whole.trained[stop:], strict=True
    ):
        assert (step, labels) == (expected_step, expected_labels)
        assert torch.equal(images, expected)


@pytest.mark.gpu
@pytest.mark.parametrize("stream", [False, True])
def test_batches_on_a_gpu(make_module: MakeModule, stream: bool) -> None:
    cuda = torch.device("cuda", 0)
    module = make_module(stream=stream, **AUGMENTED)
    for (images, labels), (expected, numbers) in zip(module.loader("train", cuda), epoch(make_module()), strict=True):
        assert images.is_pinned() if stream else images.is_cuda
        assert torch.equal(images.cpu(), expected)
        assert torch.equal(labels.cpu(), numbers)
        assert module.prepare(images.to(cuda), step=1).is_cuda


def test_the_device_copy_is_shared_between_runs(make_arrays: Callable[..., Arrays], make_module: MakeModule) -> None:
    arrays = make_arrays()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else CPU
    first, second = (make_module(arrays, seed=seed).loader("train", device) for seed in (0, 1))
    assert first.inputs.data_ptr() == second.inputs.data_ptr()


def test_real_mnist_trains_a_linear_model(real_data: Path, settings: dict[str, Any]) -> None:
    """Softmax regression reaches about 92 % on MNIST (LeCun et al., 1998: 91.6 %); one epoch gets near it."""
    from initbench.data import build

    source = {"_target_": "initbench.data.torchvision_dataset", "dataset": "MNIST", "root": str(real_data)}
    module = build(settings | source | {"batch_size": 128, "val_size": 5000}, seed=0)
    weight = torch.zeros(10, 784, requires_grad=True)
    for images, labels in module.loader("train", CPU):
        logits = module.prepare(images).flatten(1) @ weight.T
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), weight)
        with torch.no_grad():
            weight -= 0.02 * gradient
    right = sum(
        int((module.prepare(images).flatten(1) @ weight.T).argmax(1).eq(labels).sum())
        for images, labels in module.loader("test", CPU)
    )
    assert 0.88 < right / 10_000 < 0.94
