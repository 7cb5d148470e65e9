import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from initbench.data import mnist_mini
from initbench.data.mini import FILE

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_mnist_mini.py"


def test_it_has_as_many_of_each_digit() -> None:
    arrays = mnist_mini()
    assert arrays.train_images.shape == (5000, 1, 28, 28)
    assert arrays.test_images.shape == (1000, 1, 28, 28)
    assert torch.bincount(arrays.train_labels).tolist() == [500] * 10
    assert torch.bincount(arrays.test_labels).tolist() == [100] * 10
    assert arrays.classes == tuple("0123456789")


def test_images_are_all_different_digits_on_black() -> None:
    arrays = mnist_mini()
    images = torch.cat([arrays.train_images, arrays.test_images]).flatten(1)
    assert len(images.unique(dim=0)) == 6000
    # 0.1307 and 0.3081 are MNIST's own mean and standard deviation.
    assert float(images.float().mean() / 255) == pytest.approx(0.1307, abs=2e-3)
    assert float(images.float().std() / 255) == pytest.approx(0.3081, abs=3e-3)


def test_it_is_small_and_names_its_licence() -> None:
    assert FILE.stat().st_size < 2e6
    licence = FILE.with_name("MNIST_LICENSE.txt").read_text()
    assert all(word in licence for word in ("LeCun", "Cortes", "Burges", "Attribution-ShareAlike 3.0"))


def test_the_script_makes_the_bundled_file(real_data: Path, tmp_path: Path) -> None:
    made = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for target in made:
        command = [
            sys.executable,
            str(SCRIPT),
            "--idx",
            str(real_data / "MNIST" / "raw"),
            "--target",
            str(target),
        ]
        subprocess.run(command, check=True)
    assert made[0].read_bytes() == made[1].read_bytes()
    # The arrays, not the bytes: another zlib compresses the same pixels differently.
    with np.load(made[0]) as new, np.load(FILE) as bundled:
        assert sorted(new) == sorted(bundled)
        assert all(np.array_equal(new[key], bundled[key]) for key in new)


def test_the_script_refuses_other_files(tmp_path: Path) -> None:
    make = runpy.run_path(str(SCRIPT))["make"]
    with pytest.raises(ValueError, match="holds neither train-images-idx3-ubyte nor"):
        make(tmp_path, tmp_path / "mini.npz")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"other digits")
    with pytest.raises(ValueError, match="is not the original file: its md5 is"):
        make(tmp_path, tmp_path / "mini.npz")
