"""A text of one's own, by characters or bytes."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from initbench.data.windows import Tokens
from initbench.errors import nearest
from initbench.schema.ranges import OpenFraction, PositiveInt


def text_file(
    root: str,
    file: str | None,
    context_length: PositiveInt,
    level: Literal["characters", "bytes"] = "characters",
    test_size: OpenFraction = 0.1,
) -> Tokens:
    """The text in `file`, which lies in `root` if it is relative; its end is the test set.

    characters: UTF-8, with the characters that occur as the vocabulary. bytes: any file, with a vocabulary of 256.

    Raises ValueError for a file that is missing or no UTF-8, and for a text that is too short.
    """
    if not file:
        raise ValueError("data.file is not set: the file with the text")
    path = existing(root, file)
    content = path.read_bytes()
    if level == "bytes":
        ids, size = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0).byte(), 256
    else:
        ids, size = _characters(path, content)
    held_out = round(len(ids) * test_size)
    try:
        return Tokens(ids[: len(ids) - held_out], ids[len(ids) - held_out :], size, context_length)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def existing(root: str, file: str) -> Path:
    """The path of a file, which lies in `root` if it is relative; ValueError where there is none."""
    path = Path(root) / file
    if path.is_file():
        return path
    if Path(file).is_file():
        raise ValueError(
            f"there is no file {str(path)!r}. For the one in this folder, give {str(Path(file).absolute())!r}"
        )
    there = [near.name for near in path.parent.glob("*") if near.is_file()] if path.parent.is_dir() else []
    raise ValueError(f"there is no file {str(path)!r}.{nearest(path.name, there)}")


def _characters(path: Path, content: bytes) -> tuple[torch.Tensor, int]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path} is no UTF-8 text (line {line}); data.level=bytes reads any file") from error
    # Newlines as they are: a vocabulary with both kinds is the user's to mend.
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    known, ids = np.unique(codes, return_inverse=True)
    kind = np.uint8 if len(known) <= 256 else np.int32
    return torch.from_numpy(ids.astype(kind)), max(len(known), 1)
