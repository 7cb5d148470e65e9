import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from initbench.data import build, check_source, image_folder, pixels


def save(path: Path, size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> None:
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_tree(root: Path) -> Path:
    """Lossless images of 8 x 8: three of each of two classes to train on, two to test."""
    for split, count in (("train", 3), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                save(root / split / name / f"{i}.png", seed=100 * (split == "test") + 10 * label + i)
    return root


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return make_tree(tmp_path / "images")


def read(tree: Path, image_size: int = 8, **keys: Any) -> Any:
    return image_folder(str(tree.parent), tree.name, image_size, **keys)


def test_images_of_the_right_size_are_kept_to_the_bit(tree: Path) -> None:
    arrays = read(tree)
    assert arrays.classes == ("cat", "dog")
    assert arrays.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays.test_labels.tolist() == [0, 0, 1, 1]
    for images, split in ((arrays.train_images, "train"), (arrays.test_images, "test")):
        files = sorted((tree / split).glob("*/*.png"))
        expected = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])
        assert np.array_equal(images.numpy(), expected)


def test_every_format_and_mode_becomes_rgb_of_one_size(tree: Path) -> None:
    extra = tree / "train" / "cat"
    for name, size in (("a.jpg", (30, 20)), ("b.bmp", (9, 40)), ("c.webp", (8, 8)), ("d.gif", (5, 3))):
        save(extra / name, size)
    save(extra / "e.JPEG", (12, 12), mode="L")
    Image.new("RGBA", (16, 16), (255, 0, 0, 10)).save(extra / "f.png")
    Image.new("P", (16, 16), 3).save(extra / "g.png", transparency=b"\x00\x10\x20\x30")
    Image.new("CMYK", (16, 16)).save(extra / "h.jpg")
    (extra / "notes.txt").write_text("not an image")
    (extra / ".hidden.png").write_bytes(b"not an image")
    Image.fromarray(np.full((9, 9), 65535, np.uint16)).save(extra / "i.tiff")
    arrays = read(tree, 6)
    assert arrays.train_images.shape == (15, 3, 6, 6)
    assert read(tree, 6, channels=1).train_images.shape == (15, 1, 6, 6)


def test_the_centre_is_cut_out_and_resized(tree: Path) -> None:
    file = tree / "train" / "cat" / "0.png"
    save(file, (40, 24), seed=9)
    by_hand = Image.open(file).resize((20, 12), Image.Resampling.BICUBIC).crop((4, 0, 16, 12))
    assert np.array_equal(read(tree, 12).train_images[0].numpy(), np.asarray(by_hand).transpose(2, 0, 1))


def test_a_relative_folder_lies_in_root_and_an_absolute_one_does_not(tree: Path) -> None:
    relative, absolute = read(tree), image_folder("elsewhere", str(tree), 8)
    assert torch.equal(relative.train_images, absolute.train_images)


def cache_files(tree: Path) -> list[Path]:
    return sorted((tree / ".initbench").glob("*.npy"))


def test_decoding_prints_nothing_into_a_log(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read(tree)
    assert cache_files(tree)
    assert capfd.readouterr() == ("", "")


def test_images_are_decoded_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(tree)
    (file,) = cache_files(tree)
    monkeypatch.setattr(pixels, "_write", None)  # decoding again would call it
    second = read(tree)
    assert torch.equal(first.train_images, second.train_images)
    assert cache_files(tree) == [file]
    assert isinstance(np.load(file, mmap_mode="r"), np.memmap)


def test_writing_to_the_images_leaves_the_cache_alone(tree: Path) -> None:
    expected = read(tree).train_images.clone()
    read(tree).train_images.zero_()
    assert torch.equal(read(tree).train_images, expected)


def test_the_cache_follows_the_folder(tree: Path) -> None:
    first = read(tree)
    assert first.is_current()

    save(tree / "train" / "dog" / "9.png")
    assert not first.is_current()
    added = read(tree)
    assert len(added.train_images) == 7
    assert len(cache_files(tree)) == 1, "the outdated cache is removed"

    os.utime(tree / "train" / "cat" / "0.png", (1, 1))
    assert not added.is_current()
    touched = read(tree)

    save(tree / "train" / "cat" / "0.png", seed=77)
    assert not touched.is_current()
    assert not torch.equal(read(tree).train_images[0], touched.train_images[0])

    (tree / "train" / "dog" / "9.png").unlink()
    assert len(read(tree).train_images) == 6
    read(tree, 4)
    read(tree, 4, channels=1)
    assert len(cache_files(tree)) == 3, "each size and number of channels has its own"


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "pickled", "other", "folder"])
def test_a_damaged_cache_is_made_again(tree: Path, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    expected = read(tree).train_images.clone()
    (file,) = cache_files(tree)
    if damage == "folder":
        file.unlink()
        (file / "inside").mkdir(parents=True)
    elif damage == "pickled":
        with file.open("wb") as opened:
            np.save(opened, np.array([Unpickled()], dtype=object), allow_pickle=True)
    elif damage == "other":
        with file.open("wb") as opened:
            np.save(opened, np.zeros(3))
    else:
        file.write_bytes({"empty": b"", "truncated": file.read_bytes()[:-1], "garbage": b"\xff" * 999}[damage])
    capfd.readouterr()
    assert torch.equal(read(tree).train_images, expected)
    lines = [line for line in capfd.readouterr().err.splitlines() if "cannot be read" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"initbench: {file} cannot be read (")
    assert lines[0].endswith("): the images are decoded again")
    assert torch.equal(read(tree).train_images, expected)
    assert "cannot be read" not in capfd.readouterr().err


class Unpickled:
    """Whoever unpickles one fails."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def test_two_at_once_build_one_cache(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []
    write = pixels._write
    monkeypatch.setattr(pixels, "_write", lambda target, *rest: (built.append(target), write(target, *rest)))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: read(tree), range(4)))
    assert len(built) == 1
    assert all(torch.equal(result.train_images, results[0].train_images) for result in results)


KILLED = """
import os, signal, sys
from initbench.data import image_folder, pixels
decode = pixels.decode

def stuck(file, *rest):
    if file.endswith("test/dog/0.png"):
        print("decoding", flush=True)
        signal.pause()
    return decode(file, *rest)

pixels.decode = stuck
image_folder("", sys.argv[1], 8)
"""


def test_when_the_process_that_decodes_is_killed_the_next_one_does(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = subprocess.Popen([sys.executable, "-c", KILLED, str(tree)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "decoding\n"
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(read, tree)
        said = ""
        while "waiting for another process that is decoding the images in" not in said:
            time.sleep(0.02)
            said += capfd.readouterr().err
            assert not second.done()
        first.kill()
        first.communicate()
        assert len(second.result().train_images) == 6
    assert len(list((tree / ".initbench").glob(".*.part"))) == 0, "what the first has left is removed"
    assert len(cache_files(tree)) == 1


def test_a_folder_that_cannot_be_written_is_cached_elsewhere(
    locked_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nobody = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    locked_folder.chmod(0o755)
    make_tree(locked_folder)
    home = locked_folder / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    locked_folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(nobody)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    arrays = image_folder("", str(locked_folder), 8)
    assert len(arrays.train_images) == 6
    assert len(list(home.glob("initbench/*/*.npy"))) == 1
    assert not (locked_folder / ".initbench").exists()

    monkeypatch.setenv("XDG_CACHE_HOME", str(locked_folder / "nowhere"))
    with pytest.raises(ValueError, match=r"no permission to write the image cache in .* or .*: set XDG_CACHE_HOME"):
        image_folder("", str(locked_folder), 8)


def test_a_folder_that_cannot_be_read_is_reported(tree: Path, locked_folder: Path) -> None:
    with pytest.raises(ValueError, match="no permission to read"):
        read(tree)  # its parents let nobody but their owner in


def test_build_notices_a_changed_folder(tree: Path, settings: dict[str, Any]) -> None:
    cfg = settings | {"batch_size": 2, "val_size": 2, "_target_": "initbench.data.image_folder"}
    cfg |= {"root": str(tree.parent), "folder": tree.name, "image_size": 8}
    first, second = build(cfg, seed=0), build(cfg, seed=1)
    assert first.arrays is second.arrays
    save(tree / "train" / "cat" / "9.png")
    assert len(build(cfg, seed=0).train) == len(first.train) + 1


@pytest.mark.parametrize(
    "remove, message",
    [
        ("", "no folder .*images: expected .*/train/<class>/ and .*/test/<class>/"),
        ("train", "no folder .*train: expected"),
        ("test", "no folder .*test: expected"),
        ("train/*", "train has no class folders"),
        ("test/*", "test has no class folders"),
        ("train/dog/*", "train.dog has no images"),
        ("test/cat/*", "test.cat has no images"),
        ("train/dog", "class 'dog' of .*test is not in train"),
    ],
)
def test_what_is_missing_is_named(tree: Path, remove: str, message: str) -> None:
    for path in list(tree.glob(remove)) if remove else [tree]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=message):
        read(tree)


def test_a_misspelt_class_of_test_is_recognised(tree: Path) -> None:
    (tree / "test" / "cat").rename(tree / "test" / "cats")
    with pytest.raises(ValueError, match=r"class 'cats' of .*test is not in train\. Did you mean 'cat'\?"):
        read(tree)


def test_a_class_may_be_absent_from_test(tree: Path) -> None:
    shutil.rmtree(tree / "test" / "cat")
    assert read(tree).test_labels.tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"not an image", "truncated"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_corrupt_image_is_named(tree: Path, content: bytes | str, suffix: str) -> None:
    file = tree / "train" / "dog" / f"broken{suffix}"
    save(file, (64, 64))
    file.write_bytes(content if isinstance(content, bytes) else file.read_bytes()[:400])
    with pytest.raises(ValueError, match=re.escape(f"{file} cannot be read as an image")):
        read(tree)
    assert list((tree / ".initbench").glob("*.npy")) == []
    assert list((tree / ".initbench").glob("*.part")) == []


def test_several_unreadable_images_are_counted_in_one_line(tree: Path) -> None:
    folder = tree / "train" / "dog"
    for name in "abcde":
        (folder / f"{name}.png").write_bytes(b"")
    Image.new("F", (8, 8)).save(folder / "a.tiff")
    with pytest.raises(ValueError, match=r"^6 files cannot be read as images: ") as caught:
        read(tree)
    reasons = f"{folder / 'a.png'} (it is empty), {folder / 'a.tiff'} (its pixels are floats of unknown range: "
    assert reasons in str(caught.value)
    assert str(caught.value).endswith(f"{folder / 'b.png'} (it is empty) and 3 more")


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"image_size": 0}, "data.image_size must be a whole number of at least 1, got 0"),
        ({"image_size": 8.0}, "got 8.0"),
        ({"channels": 2}, "data.channels must be 1 or 3, got 2"),
    ],
)
def test_wrong_keys_are_refused(tree: Path, keys: dict[str, Any], message: str) -> None:
    config = {"_target_": "initbench.data.image_folder", "root": str(tree.parent), "folder": tree.name, "image_size": 8}
    with pytest.raises(ValueError, match=message):
        check_source(config | keys)


def test_a_folder_must_be_named() -> None:
    with pytest.raises(ValueError, match=r"data\.folder is not set"):
        image_folder("", None, 8)


@pytest.mark.slow
def test_real_cifar10_jpeg(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "cifar10-jpeg"
    copy = tmp_path / "cifar10-jpeg"
    copy.mkdir()
    for split in ("train", "test"):  # so that the cache is written here
        (copy / split).symlink_to(source / split)
    arrays = image_folder(str(tmp_path), copy.name, 32)
    assert arrays.train_images.shape == (50_000, 3, 32, 32)
    assert arrays.test_images.shape == (10_000, 3, 32, 32)
    assert torch.bincount(arrays.train_labels).tolist() == [5000] * 10
    assert arrays.classes[0] == "airplane"
    # The mean of CIFAR-10's training images is (0.4914, 0.4822, 0.4465); JPEG keeps it.
    mean = arrays.train_images.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=2e-3, rtol=0)
