"""A file that keeps what takes long to find out again: a cache, which may be lost or damaged and changes no result.

Its first line is a digest of the rest, of the question that this answers, and of the code of initbench. A file with
another digest is not used, so neither damage nor an edit, another question or another version goes unnoticed.
"""

import json
import os
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import initbench
from initbench.record.damage import check_file
from initbench.record.store import replacing


def read_sealed(path: Path, question: str = "") -> Any:
    """What `write_sealed` wrote; None if there is no such file, or none that this version wrote for this question."""
    try:
        check_file(path)
        seal, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return json.loads(body) if seal == _seal(question, body) else None


def write_sealed(path: Path, content: Any, question: str = "") -> None:
    """Write what JSON has; where it cannot be written, do without."""
    body = json.dumps(content, separators=(",", ":")).encode()
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as file:
            file.write(_seal(question, body) + b"\n" + body)


def _seal(question: str, body: bytes) -> bytes:
    found = blake2b(body, digest_size=16)
    found.update(f"{_code()} {question}".encode())
    return found.hexdigest().encode()


@cache
def _code() -> str:
    """A digest of initbench's files: of a working copy, the number of the version does not tell enough."""
    found = blake2b(digest_size=16)
    for folder, _, names in sorted(os.walk(Path(initbench.__file__).parent)):
        for name in sorted(names) if not folder.endswith("__pycache__") else []:
            found.update(Path(folder, name).read_bytes())
    return found.hexdigest()
