"""A text of one's own, by characters or bytes."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from initbench.data.files import existing, unchanged
from initbench.data.windows import Tokens
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
    is_current = unchanged(path)
    content = path.read_bytes()
    if level == "bytes":
        ids, size = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0).byte(), 256
    else:
        ids, size = _characters(path, content)
    held_out = round(len(ids) * test_size)
    train, test = ids[: len(ids) - held_out], ids[len(ids) - held_out :]
    try:
        return Tokens(train, test, size, context_length, is_current=is_current)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
