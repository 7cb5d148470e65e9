from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import initbench
from initbench.data import build
from initbench.data.arrays import Arrays
from initbench.data.factory import _CACHE
from initbench.data.vectors import VectorData
from initbench.data.windows import TokenData

CALLS: list[int] = []
MADE = ("curves", "text_mini")
FROM_A_FILE = ("table", "text_file", "tokens")
FILES = sorted((initbench.CONF / "data").glob("*.yaml"))


def own_source(size: int) -> Arrays:
    """A source as a user would write one."""
    CALLS.append(size)
    images = torch.zeros(20, 1, size, size, dtype=torch.uint8)
    labels = torch.arange(20) % 2
    return Arrays(images, labels, images, labels, ("even", "odd"))


def not_a_source() -> int:
    return 7


@pytest.fixture
def cfg(settings: dict[str, Any]) -> dict[str, Any]:
    CALLS.clear()
    _CACHE.clear()
    return settings | {"_target_": f"{__name__}.own_source", "size": 4}


def test_a_function_of_the_users_own_is_called_once(cfg: dict[str, Any]) -> None:
    first = build(cfg, seed=0)
    second = build(cfg | {"batch_size": 3, "flip": True}, seed=1)
    assert first.arrays is second.arrays
    assert (CALLS, first.sizes.input_shape, second.batch_size, second.seed) == ([4], (1, 4, 4), 3, 1)
    build(cfg | {"size": 6}, seed=0)
    assert CALLS == [4, 6]


def test_only_a_few_datasets_are_kept(cfg: dict[str, Any]) -> None:
    for size in (4, 5, 6, 7, 8, 4):
        build(cfg | {"size": size}, seed=0)
    assert CALLS == [4, 5, 6, 7, 8, 4]


def test_interpolations_are_resolved(cfg: dict[str, Any]) -> None:
    tree = OmegaConf.create({"side": 5, "data": cfg | {"size": "${side}"}})
    assert build(tree.data, seed=0).sizes.input_shape == (1, 5, 5)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"_target_": "initbench.data.mnist_maxi"}, "'initbench.data.mnist_maxi' cannot be imported"),
        ({"_target_": "nowhere.source"}, "'nowhere.source' cannot be imported"),
        ({"_target_": f"{__name__}.not_a_source"}, "unknown key data.size. not_a_source takes: no key"),
        ({"sise": 3}, "unknown key data.sise. Did you mean 'size'"),
        ({"batch_size": 1000}, "data.batch_size=1000 is more than the 10 images to train on"),
    ],
)
def test_a_wrong_config_is_refused(cfg: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(cfg | changes, seed=0)


def test_a_source_must_return_arrays(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must return initbench.data.Arrays, Vectors or Tokens, got int"):
        build(settings | {"_target_": f"{__name__}.not_a_source"}, seed=0)


def test_there_are_files_to_walk() -> None:
    assert {"mnist_mini", "mnist", "cifar10", "image_folder"} <= {path.stem for path in FILES}


def composed(path: Path) -> Any:
    """The `data` block of config.yaml with this file's over it, as `data=<name>` composes it."""
    shared = OmegaConf.load(initbench.CONF / "config.yaml")
    with initialize_config_dir(str(initbench.CONF / "data"), version_base=None):
        chosen = compose(path.stem)
    return OmegaConf.merge({"data_dir": "no/such/folder", "data": shared.data}, {"data": chosen}).data


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_complete(path: Path) -> None:
    """All keys are there and accepted: what is left to fail is that the data is not on this machine."""
    assert path.read_text().startswith("# ")
    data = composed(path)
    assert data.name == path.stem
    is_for_classes = path.stem not in (*MADE, *FROM_A_FILE)
    assert not is_for_classes or all(0 < target < 1 for target in data.targets)
    assert list(data.targets) == sorted(data.targets, reverse=not is_for_classes)  # the hardest comes last
    if path.stem == "mnist_mini":
        module = build(data, seed=0)
        assert (len(module.train), len(module.val), module.batch_size) == (4000, 1000, 64)
    elif path.stem in MADE:
        assert isinstance(build(data, seed=0), VectorData | TokenData)
    elif path.stem == "image_folder":
        with pytest.raises(ValueError, match=r"data.folder is not set"):
            build(data, seed=0)
    elif path.stem in FROM_A_FILE:
        with pytest.raises(ValueError, match=r"data.(file|train) is not set"):
            build(data, seed=0)
    else:
        # A file where a folder should be: nothing can be downloaded into it.
        data.root = __file__
        with pytest.raises(ValueError, match="cannot be written, to download"):
            build(data, seed=0)
