"""Paths with `~` or `$NAME` at their start, which the shell has not expanded."""

import os
import re
from pathlib import Path
from typing import Any

from initbench.errors import UserMistake

_START = re.compile(r"(~[\w.-]*|\$[A-Za-z_]\w*)(?=/|$)")


def expand(text: str) -> str:
    """`~/runs`, `~ann/runs` and `$SCRATCH/runs` as absolute paths; any other text as it is.

    Raises UserMistake for an unknown user or an unset variable.
    """
    start = _START.match(text)
    if start is None:
        return text
    if text[0] == "~":
        try:
            return str(Path(start[0]).expanduser()) + text[start.end() :]
        except RuntimeError as error:
            raise UserMistake(f"{text}: there is no user {start[0][1:]!r}") from error
    if start[0][1:] not in os.environ:
        raise UserMistake(f"{text}: the environment variable {start[0][1:]} is not set")
    return os.environ[start[0][1:]] + text[start.end() :]


def expand_all(value: Any) -> Any:
    """The same tree of mappings and lists with every text expanded."""
    if isinstance(value, dict):
        return {key: expand_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_all(item) for item in value]
    return expand(value) if isinstance(value, str) else value
