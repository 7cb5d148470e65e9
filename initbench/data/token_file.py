"""Token ids that another program has written, such as a tokenizer; they stay on disk."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from initbench.data.files import existing, unchanged
from initbench.data.windows import Tokens
from initbench.schema.ranges import PositiveInt


def tokens(
    root: str,
    train: str | None,
    test: str | None,
    context_length: PositiveInt,
    vocab_size: PositiveInt | None = None,
    dtype: Literal["uint8", "uint16", "int32", "int64"] = "uint16",
) -> Tokens:
    """The ids in the files `train` and `test`, memory-mapped; relative paths lie in `root`.

    .npy: NumPy's own format, of one dimension. .bin: nothing but the ids, of type `dtype`, as nanoGPT writes them.
    vocab_size: null for one more than the largest id.

    Raises ValueError for files that are missing, that hold something else, or that are too short.
    """
    paths = []
    for key, file in (("data.train", train), ("data.test", test)):
        if not file:
            raise ValueError(f"{key} is not set: the .npy or .bin file with the token ids")
        paths.append(existing(root, file))
    is_current = unchanged(*paths)
    parts = [_mapped(path, dtype) for path in paths]
    largest = max(int(part.numpy().max()) if len(part) else 0 for part in parts)
    return Tokens(parts[0], parts[1], vocab_size or largest + 1, context_length, is_current=is_current)


def _mapped(path: Path, dtype: str) -> Tensor:
    if path.suffix == ".bin":
        size, each = path.stat().st_size, np.dtype(dtype).itemsize
        if size == 0 or size % each:
            raise ValueError(
                f"{path} has {size} bytes, which is no number of {dtype} ids: data.dtype says of which type"
            )
        array = np.memmap(path, dtype, mode="c")
    elif path.suffix == ".npy":
        try:
            array = np.lib.format.open_memmap(path, mode="c")
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} cannot be read as npy: {error}") from error
    else:
        raise ValueError(f"{path} must be a .npy or a .bin file")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{path} must hold integers of one dimension, got {array.dtype} {array.shape}")
    return torch.from_numpy(array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("=")))
