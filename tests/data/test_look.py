"""What can be told of a dataset before it is downloaded or decoded."""

from pathlib import Path

import pytest
from configs import compose_config, options
from PIL import Image

from initbench import data
from initbench.sizes import Sizes


def look(*overrides: str) -> Sizes | None:
    return data.look(compose_config(*overrides)["data"])


def test_the_sizes_are_those_of_what_is_loaded(tmp_path: Path) -> None:
    for place, split in enumerate(["train/a", "train/b", "test/a"]):
        (tmp_path / split).mkdir(parents=True)
        for number in range(3 + place):
            Image.new("L", (9, 7)).save(tmp_path / split / f"{number}.png")
    mine = ["data=image_folder", f"data.folder={tmp_path}", "data.image_size=8", "data.batch_size=2"]
    for overrides in (["data=mnist_mini"], mine):
        node = compose_config(*overrides)["data"]
        found, built = data.look(node), data.build(node, seed=0)
        assert found == built.sizes


def test_every_dataset_can_be_told(tmp_path: Path) -> None:
    for name in options("data"):
        if name not in ("image_folder", "table", "text_file", "tokens"):  # their file is for the user to give
            assert look(f"data={name}", f"data_dir={tmp_path}") is not None
    assert list(tmp_path.iterdir()) == []


def test_a_function_of_the_users_own_is_not_called() -> None:
    assert data.look({**compose_config()["data"], "_target_": "nowhere.at_all"}) is None


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["data.batch_size=5000"], r"data.batch_size=5000 is more than the 4000 images to train on"),
        (["data=mnist", "data.batch_size=60000"], r"data.batch_size=60000 is more than the 55000 images to train on"),
        (["data=cifar10", "data.cutout=33"], r"data.cutout=33 is more than the 32 pixels of a side"),
        (["data.crop_padding=28"], r"data.crop_padding=28 is more than the 27 pixels that a reflection has"),
        (["data.val_size=5000"], r"holds 5000 of 5000 training images out"),
        (["data=image_folder"], r"data.folder is not set"),
        (["data=image_folder", "data.folder=nope"], r"no folder .*nope: expected"),
    ],
)
def test_what_a_run_would_refuse_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        look(*overrides)
