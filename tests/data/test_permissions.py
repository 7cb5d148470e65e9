"""Whoever may read the images may read the cache, and nobody else."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from initbench.data import image_folder, pixels
from initbench.data.arrays import Arrays

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

ALICE, BOB, LAB = 50_001, 50_002, 50_100


@contextmanager
def being(user: int, *groups: int, umask: int = 0o022) -> Iterator[None]:
    before = os.getgroups(), os.umask(umask)
    os.setgroups([user, *groups])
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before[0])
        os.umask(before[1])


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Alice's images, in a folder that all may enter."""
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, whose parents only their owner may enter
        Path(name).chmod(0o755)
        monkeypatch.setenv("XDG_CACHE_HOME", str(Path(name) / "caches"))
        root = Path(name) / "images"
        for value, place in enumerate(("train/cat/0", "train/cat/1", "test/cat/0")):
            file = root / f"{place}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), value).save(file)
        permit(root, ALICE, ALICE, files=0o644, folders=0o755)
        yield root


def permit(root: Path, owner: int, group: int, *, files: int, folders: int) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, owner, group)
        path.chmod(folders if path.is_dir() else files)


def read(tree: Path) -> Arrays:
    return image_folder("", str(tree), 4, 1)


def cache_of(tree: Path) -> os.stat_result:
    (file,) = (tree / ".initbench").glob("*.npy")
    return file.stat()


@pytest.mark.parametrize(
    "files, folders, closed, mode",
    [
        (0o644, 0o755, "", 0o644),
        (0o640, 0o755, "", 0o640),
        (0o600, 0o755, "", 0o600),
        (0o444, 0o755, "", 0o644),
        (0o644, 0o755, "train/cat", 0o600),
        (0o644, 0o755, "test", 0o600),
        (0o644, 0o755, "train/cat/1.png", 0o600),
    ],
)
@pytest.mark.parametrize("umask", [0o077, 0])
def test_the_cache_has_the_permissions_of_the_images(
    tree: Path, files: int, folders: int, closed: str, mode: int, umask: int
) -> None:
    permit(tree, ALICE, ALICE, files=files, folders=folders)
    if closed:
        (tree / closed).chmod(0o700)
    with being(ALICE, umask=umask):
        read(tree)
    assert cache_of(tree).st_mode & 0o777 == mode
    assert (tree / ".initbench").stat().st_mode & 0o777 == folders


def test_two_users_of_a_group_share_one_cache(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    permit(tree, ALICE, LAB, files=0o640, folders=0o770)
    with being(ALICE, LAB, umask=0o077):
        first = read(tree).train_images.clone()
    assert (cache_of(tree).st_mode & 0o777, cache_of(tree).st_gid) == (0o640, LAB)
    with monkeypatch.context() as patch, being(BOB, LAB):
        patch.setattr(pixels, "_write", None)  # decoding again would call it
        assert torch.equal(read(tree).train_images, first)

    with being(BOB, LAB, umask=0o077):
        Image.new("L", (4, 4), 99).save(tree / "train" / "cat" / "2.png")
        (tree / "train" / "cat" / "2.png").chmod(0o640)
        os.chown(tree / "train" / "cat" / "2.png", -1, LAB)
        assert len(read(tree).train_images) == 3
    with monkeypatch.context() as patch, being(ALICE, LAB):
        patch.setattr(pixels, "_write", None)
        assert len(read(tree).train_images) == 3
    assert cache_of(tree).st_uid == BOB, "the outdated one is removed"


def test_a_group_of_whose_images_this_user_is_no_member_gives_nothing_to_the_users_own(tree: Path) -> None:
    permit(tree, BOB, LAB, files=0o640, folders=0o755)
    with being(BOB):  # an owner need not be in the file's group
        read(tree)
    assert (cache_of(tree).st_mode & 0o777, cache_of(tree).st_gid) == (0o600, BOB)


def test_what_root_decodes_belongs_to_the_owner_of_the_images(tree: Path) -> None:
    permit(tree, ALICE, ALICE, files=0o600, folders=0o700)
    read(tree)
    folder = (tree / ".initbench").stat()
    assert (cache_of(tree).st_uid, cache_of(tree).st_mode & 0o777) == (ALICE, 0o600)
    assert (folder.st_uid, folder.st_mode & 0o777) == (ALICE, 0o700)


def test_a_cache_in_the_users_folder_is_private(tree: Path) -> None:
    caches = tree.parent / "caches"
    caches.mkdir()
    os.chown(caches, BOB, BOB)
    with being(BOB, umask=0):
        read(tree)
    (file,) = caches.rglob("*.npy")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tree / ".initbench").exists()


def test_a_cache_is_never_more_open_while_it_is_written(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    permit(tree, ALICE, ALICE, files=0o600, folders=0o755)
    modes: list[int] = []

    def decode(file: str, image_size: int, channels: int) -> bytes:
        modes.extend(part.stat().st_mode & 0o777 for part in (tree / ".initbench").glob(".*.part"))
        return bytes(image_size * image_size * channels)

    monkeypatch.setattr(pixels, "decode", decode)
    with being(ALICE, umask=0):
        read(tree)
    assert modes == [0o600] * 3


@pytest.mark.parametrize(
    "closed, message",
    [
        ("train/cat/1.png", "cannot be read as an image: Permission denied"),
        ("train/cat", "no permission to read"),
        ("test", "no permission to read"),
    ],
)
def test_what_may_not_be_read_is_named(tree: Path, closed: str, message: str) -> None:
    (tree / closed).chmod(0)
    with being(ALICE), pytest.raises(ValueError, match=message) as caught:
        read(tree)
    assert str(tree / closed) in str(caught.value)
