"""Make initbench/data/mnist_mini.npz from the original MNIST files.

    python scripts/make_mnist_mini.py --idx FOLDER

FOLDER holds the four files of MNIST (train-images-idx3-ubyte and so on), gzipped or not. 500 of each digit
are chosen from the training file and 100 of each from the test file, by a fixed seed.

MNIST is by Yann LeCun, Corinna Cortes and Christopher J.C. Burges (http://yann.lecun.com/exdb/mnist/), under
the Creative Commons Attribution-ShareAlike 3.0 licence; the selection is under the same licence
(initbench/data/MNIST_LICENSE.txt).
"""

import argparse
import gzip
import hashlib
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "initbench" / "data" / "mnist_mini.npz"
SEED = 0
# Digests of the uncompressed originals.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def read_original(folder: Path, name: str) -> bytes:
    """The bytes of one original file; ValueError where it is missing or not the original."""
    plain, zipped = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        content = plain.read_bytes()
    elif zipped.is_file():
        content = gzip.decompress(zipped.read_bytes())
    else:
        raise ValueError(f"{folder} holds neither {name} nor {name}.gz")
    if (md5 := hashlib.md5(content).hexdigest()) != MD5[name]:
        raise ValueError(f"{folder / name} is not the original file: its md5 is {md5}, not {MD5[name]}")
    return content


def read_split(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), uint8. The IDX header is 4 bytes, and 4 more for each dimension."""
    images = np.frombuffer(read_original(folder, f"{prefix}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(read_original(folder, f"{prefix}-labels-idx1-ubyte"), np.uint8, offset=8)
    return images.reshape(-1, 28, 28), labels


def choose(labels: np.ndarray, per_class: int) -> np.ndarray:
    """Sorted indices of `per_class` random images of each digit."""
    generator = np.random.default_rng(SEED)
    chosen = [generator.choice(np.flatnonzero(labels == d), per_class, replace=False) for d in range(10)]
    return np.sort(np.concatenate(chosen))


def make(folder: Path, target: Path) -> None:
    """Write the selection to `target`; the same bytes every time, as NumPy dates all archive members 1980."""
    arrays = {}
    for split, prefix, per_class in (("train", "train", 500), ("test", "t10k", 100)):
        images, labels = read_split(folder, prefix)
        index = choose(labels, per_class)
        arrays |= {f"{split}_images": images[index], f"{split}_labels": labels[index]}
    np.savez_compressed(target, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idx", type=Path, required=True, help="folder of the four original files")
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write")
    arguments = parser.parse_args()
    make(arguments.idx, arguments.target)


if __name__ == "__main__":
    main()
