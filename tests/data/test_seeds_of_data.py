"""Which seed decides what: the order of samples, augmentation, and what is held out, for every kind of data."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from initbench.data import augment, build, curves, table, text_file, text_mini, tokens
from initbench.data.arrays import Arrays
from initbench.data.base import Data, val_count
from initbench.data.drawing import drawing
from initbench.data.files import unchanged
from initbench.data.functions import value_of
from initbench.data.images import ImageData
from initbench.data.seeding import AUGMENT, SPLIT, derive_seed
from initbench.data.sentences import entropy
from initbench.data.windows import Tokens
from initbench.sizes import Sizes

CPU, META = torch.device("cpu"), torch.device("meta")
IMAGES = torch.randint(256, (70, 2, 5, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SOURCES = {
    "images": {"_target_": f"{__name__}.images"},
    "rows": {"_target_": "initbench.data.curves", "function": "waves", "size": 50, "noise": 0.1},
    "labels": {"_target_": "initbench.data.curves", "function": "spirals", "size": 50, "noise": 0.1},
    "text": {"_target_": "initbench.data.text_mini", "size": 401, "context_length": 8},
}


def images() -> Arrays:
    labels = torch.arange(70) % 3
    return Arrays(IMAGES[:50], labels[:50], IMAGES[50:], labels[50:], ("a", "b", "c"))


def built(kind: str, settings: dict[str, Any], **seeds: int | None) -> Data:
    return build({**settings, **SOURCES[kind]}, **{"seed": 0, **seeds})  # type: ignore[arg-type]  # mypy takes the seeds for any argument of build


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_held_out_has_a_seed_of_its_own(kind: str, settings: dict[str, Any]) -> None:
    usual = built(kind, settings)
    assert torch.equal(usual.val, built(kind, settings, seed=5).val)
    held = [built(kind, settings, split=split).val.tolist() for split in (0, 1, 2)]
    assert len({*map(tuple, [usual.val.tolist(), *held])}) == 4
    for split, val in enumerate(held):
        found = built(kind, settings, seed=7, split=split)
        assert found.val.tolist() == val
        assert sorted(found.train.tolist() + val) == list(range(50))
        seed = derive_seed(split, SPLIT)
        order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
        expected = torch.arange(50).roll(seed % 50)[-10:] if kind == "text" else order[:10]
        assert val == expected.tolist()


def test_statistics_are_those_of_what_this_run_is_trained_on(settings: dict[str, Any]) -> None:
    for split in (None, 1):
        found = built("images", settings, split=split)
        assert isinstance(found, ImageData)
        kept = IMAGES[:50][found.train].double() / 255
        torch.testing.assert_close(found.mean, kept.mean((0, 2, 3)).float())
        torch.testing.assert_close(found.std, kept.std((0, 2, 3), correction=0).float())
        rows = built("rows", settings, split=split)
        for values in (each[rows.train] for each in rows.tensors("train", CPU)):
            torch.testing.assert_close(values.mean(0), torch.zeros(values.shape[1]), atol=1e-6, rtol=0)
            torch.testing.assert_close(values.std(0, correction=0), torch.ones(values.shape[1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("setting", [{"flip": True}, {"crop_padding": 2}, {"cutout": 3}])
def test_augmentation_may_have_a_seed_of_its_own(setting: dict[str, Any], settings: dict[str, Any]) -> None:
    plain, own, other = (
        built("images", settings | setting, seed=seed, augmentation=augmentation)
        for seed, augmentation in ((0, None), (3, 0), (0, 3))
    )
    some = IMAGES[:20]
    for step in (0, 4):
        drawn = plain.prepare(some, step=step, rank=1)
        assert torch.equal(drawn, own.prepare(some, step=step, rank=1))
        assert not torch.equal(drawn, other.prepare(some, step=step, rank=1))
        assert not torch.equal(drawn, plain.prepare(some))
    generator = torch.Generator().manual_seed(derive_seed(0, AUGMENT, 4, 1))
    if "flip" in setting:
        assert torch.equal(drawn, plain.prepare(augment.flip(some, generator)))
    elif "crop_padding" in setting:
        assert torch.equal(drawn, plain.prepare(augment.crop(some, 2, generator)))
    else:
        assert torch.equal(drawn, augment.cutout(plain.prepare(some), 3, generator))


def test_what_is_streamed_stays_on_the_cpu_and_what_is_not_lies_on_the_device(settings: dict[str, Any]) -> None:
    for stream, where in ((True, "cpu"), (False, "meta")):
        found = built("images", settings | {"stream": stream})
        loader = found.loader("test", META)
        assert (loader.inputs.device.type, loader.targets.device.type) == (where, where)
        assert loader.workers == (2 if stream else 0)
        assert not loader.pin_memory
    assert built("rows", settings).tensors("train", META)[0].device.type == "meta"
    assert [each.device.type for each in built("labels", settings).tensors("test", META)] == ["meta", "meta"]
    assert [each.device.type for each in built("text", settings).tensors("test", META)] == ["meta", "meta"]
    assert {
        each.device.type for part in ("train", "test") for each in built("images", settings).tensors(part, META)
    } == {"meta"}


def test_steps_of_an_epoch_and_batches_of_evaluation(settings: dict[str, Any]) -> None:
    found = built("text", settings)
    assert (found.steps_per_epoch, found.evaluation_batch_size, len(found.loader("val", CPU))) == (5, 8, 2)
    assert built("images", settings).evaluation_batch_size == 1000
    assert (built("rows", settings).keeps_outputs, built("images", settings).keeps_outputs) == (True, False)


@pytest.mark.parametrize(
    "size, total, held", [(0.25, 10, 2), (0.16, 10, 2), (0.14, 10, 1), (9, 10, 9), (1, 2, 1), (0.5, 2, 1)]
)
def test_how_many_are_held_out_for_a_share_or_a_number(size: float, total: int, held: int) -> None:
    assert val_count(size, Sizes(total, (3,))) == held


@pytest.mark.parametrize(
    "size, total, message",
    [
        (0, 10, "holds 0 of 10 training rows out: 1 to 9 can be"),
        (10, 10, "holds 10 of 10 training rows out: 1 to 9 can be"),
        (1, 1, "1 training row: at least 2 are needed"),
    ],
)
def test_one_is_held_out_and_one_is_left(size: int, total: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        val_count(size, Sizes(total, (3,)))


def test_spirals_are_even_and_turn_one_and_three_quarters() -> None:
    points = curves("spirals", 4000, 0.0)
    radius = points.train_inputs.norm(dim=1)
    assert stats.kstest(radius.square().numpy(), "uniform").pvalue > 1e-3
    angle = 2 * torch.pi * 1.75 * radius + torch.pi * points.train_targets
    torch.testing.assert_close(
        points.train_inputs, radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), atol=1e-5, rtol=0
    )
    noisy = curves("spirals", 4000, 0.5)
    assert (noisy.train_inputs - points.train_inputs).std() == pytest.approx(0.05, rel=0.05)
    assert (points.classes, points.keeps_outputs) == (("one spiral", "the other"), True)


def test_functions_are_pinned_and_uniform() -> None:
    points = curves("chirp", 1000, 0.2)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(1501, 1, generator=generator) * 2 - 1
    noise = 0.2 * torch.randn(1501, generator=generator)
    assert torch.equal(points.train_inputs, inputs[:1000])
    assert torch.equal(points.test_inputs, inputs[1000:])
    values = torch.sin(2 * torch.pi * (inputs[:, 0] + 1) ** 2) + noise
    torch.testing.assert_close(points.test_targets[:, 0], values[1000:])
    at = torch.tensor([[0.1, -0.2], [-0.4, 0.4], [0.0, -0.5]])
    bumps = [(1, -0.4, 0.4, 0.25), (1.5, 0.5, 0.3, 0.2), (-1, 0, -0.5, 0.3)]
    expected = sum(h * np.exp(-((at[:, 0] - x) ** 2 + (at[:, 1] - y) ** 2).numpy() / 2 / w**2) for h, x, y, w in bumps)
    torch.testing.assert_close(value_of("peaks", at).numpy(), expected.astype(np.float32), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("split", [None, 1])
def test_a_drawing_has_the_units_of_the_data_and_the_noise_of_the_test_set(split: int | None) -> None:
    config = {"function": "sine", "size": 60, "noise": 0.3, "val_size": 20}
    found, points = drawing(config, split), curves("sine", 60, 0.3)
    seed = 0 if split is None else derive_seed(split, SPLIT)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    kept = points.train_targets[order[20:]].double()
    assert (found.mean, found.std) == pytest.approx((float(kept.mean()), float(kept.std(correction=0))))
    assert np.array_equal(found.targets, points.test_targets[:, 0].numpy())
    assert found.truth_inputs.shape == (501, 1)
    outputs = np.linspace(-1, 1, len(points.test_inputs))[:, None]
    np.testing.assert_allclose(found.learned(outputs), outputs[:, 0] * found.std + found.mean)
    assert found.learned(np.hstack([outputs, outputs])) is None
    plane = drawing({**config, "function": "waves"})
    assert np.array_equal(plane.truth_inputs, plane.inputs)
    spirals = drawing({**config, "function": "spirals"})
    logits = np.stack([np.zeros(len(spirals.inputs)), np.full(len(spirals.inputs), np.log(3))], 1)
    np.testing.assert_allclose(spirals.learned(logits), 0.75)


def test_windows_follow_each_other_and_targets_are_one_token_ahead(settings: dict[str, Any]) -> None:
    ids = torch.arange(13, dtype=torch.uint8)
    text = Tokens(ids, ids[:9] + 4, 17, 4, 1.5)
    inputs, targets = text.windows("train")
    assert inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert torch.equal(targets, inputs + 1)
    assert text.windows("test")[0].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert text.sizes == Sizes(3, (4,), vocab_size=17, entropy=1.5)
    assert Tokens(ids[:12], ids, 17, 4).sizes.train_size == 2
    assert Tokens(ids[:5], ids[:5], 5, 4).sizes.train_size == 1
    with pytest.raises(ValueError, match=r"no more than data\.context_length=4"):
        Tokens(ids, ids[:4], 17, 4)
    assert built("text", settings).prepare(inputs).dtype == torch.int64
    assert built("text", settings).streams is False
    both = text_mini(4000, 8)
    nbytes = both.train.nbytes + both.test.nbytes
    for limit, streams in ((nbytes, False), (nbytes - 1, True)):
        config = {**settings, "stream": "auto", "max_resident_gb": limit / 1e9}
        assert build({**config, **SOURCES["text"], "size": 4000}, seed=0).streams == streams


def test_a_made_text_ends_with_what_follows_and_knows_its_entropy() -> None:
    text, longer = text_mini(300, 8), text_mini(330, 8)
    assert torch.equal(torch.cat([text.train, text.test[:30]]), longer.train)
    assert (len(text.test), text.entropy) == (31, entropy())


def test_a_text_is_cut_near_its_end(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abcdefghij" * 2 + "xyzxyz")
    found = text_file(str(tmp_path), "t.txt", 2, test_size=0.2)
    assert found.vocab_size == 13
    assert (len(found.train), found.test.tolist()) == (21, [11, 12, 10, 11, 12])
    assert found.is_current()
    (tmp_path / "t.txt").write_text("other")
    assert not found.is_current()


def test_ids_are_read_again_if_either_file_changes(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.arange(5, dtype=np.uint16))
    for name in ("a.npy", "b.npy"):
        found = tokens(str(tmp_path), "a.npy", "b.npy", 2)
        assert found.is_current()
        np.save(tmp_path / name, np.zeros(7, dtype=np.uint16))
        assert not found.is_current()


def test_a_file_has_changed_if_its_size_or_its_time_has(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for change in ("size", "time", "removed"):
        for each in paths:
            each.write_text("1234")
            os.utime(each, ns=(10**18, 10**18))
        is_current = unchanged(*paths)
        assert is_current()
        if change == "size":
            paths[1].write_text("12345")
            os.utime(paths[1], ns=(10**18, 10**18))
        elif change == "time":
            os.utime(paths[1], ns=(10**18, 10**18 + 1))
        else:
            paths[1].unlink()
        assert not is_current()


def test_a_table_of_few_rows_and_of_one_class(tmp_path: Path) -> None:
    def read(text: str, **keys: Any) -> Any:
        (tmp_path / "t.csv").write_text(text)
        return table(str(tmp_path), "t.csv", "y", **keys)

    found = read("x,y\n1,2\n2,3\n3,5\n", test_size=0.1)
    assert (len(found.train_inputs), len(found.test_inputs)) == (2, 1)
    assert len(read("x,y\n" + "".join(f"{n},{n}\n" for n in range(10)), test_size=0.25).test_inputs) == 2
    assert len(read("x,y\n" + "".join(f"{n},{n}\n" for n in range(10)), test_size=0.27).test_inputs) == 3
    classes = read("x,y\n1,b\n2,a\n3,b\n4,a\n5,a\n", test_size=0.4)
    assert classes.classes == ("a", "b")
    assert classes.is_current()
    (tmp_path / "t.csv").unlink()
    assert not classes.is_current()
    for text, words in (
        ("x,y\n1,2\n2,3\n", "too few rows"),
        ("y\n1\n2\n3\n", "no column but 'y'"),
        ("x,y\n1,a\n2,a\n3,a\n", "one class only, 'a'"),
        ("x,z,y\n1,p,1\n2,q,2\n3,r,3\n", "column 'z' has another text in every row"),
        ("x,y\n1,1\n1e39,2\n3,3\n", "line 3: x is '1e39', more than 32 bits hold"),
        ("x,y\n1,1\ninf,2\n3,3\n", "line 3: x is 'inf', which is no finite number"),
        ("x,y\n1,1\n2,\n3,3\n", "line 3: y is empty"),
    ):
        with pytest.raises(ValueError, match=words):
            read(text)
