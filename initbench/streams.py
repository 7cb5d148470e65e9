"""Standard output and error of a program: printing never raises, and every character is shown, in ASCII if need be."""

# ruff: noqa: RUF001 - ambiguous letters are what it is about

import codecs
import os
import sys
import unicodedata
from io import BufferedWriter, FileIO, TextIOWrapper
from select import select
from typing import Any

# How characters of our own texts look where the encoding of the terminal lacks them.
_ASCII = {
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "ß": "ss",
    "µ": "u",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "→": "->",
    "·": "*",
    "√": "sqrt",
    "∞": "inf",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "█": "#",
    "━": "-",
    "│": "|",
}


class _Lasting(FileIO):
    """A file whose writes never fail: after the first error, everything is dropped."""

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        written: int | None = None
        while self.lost is None and written is None:
            try:
                written = super().write(data)
                if written is None:  # somebody has made it non-blocking, and it is full
                    select([], [self], [])
            except OSError as error:
                self.lost = error
        return len(data) if written is None else written


_files: dict[str, _Lasting] = {}


def protect() -> None:
    """Called first by every program of ours, because a run must not fail if nobody can read what it prints.

    A pipe may be closed by its reader, as by `| head -1`, and the disk of a log may be full.
    """
    _use_utf8()
    codecs.register_error("initbench", _in_ascii)
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:  # closed by `>&-`: the next file would take its place, and be printed into
            os.open(os.devnull, os.O_RDWR)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, TextIOWrapper):
            if stream is not None:
                stream.flush()
            _files[name] = _Lasting(fd, "w", closefd=False)
            protected = TextIOWrapper(
                BufferedWriter(_files[name]),
                encoding=getattr(stream, "encoding", "utf-8"),
                errors="initbench",
                line_buffering=stream is None or stream.line_buffering,
                write_through=stream is not None and stream.write_through,
            )
            setattr(sys, name, protected)


def _use_utf8() -> None:
    """Restart this process in Python's UTF-8 mode if the locale is ASCII, in which no file can be named über.

    What is printed stays ASCII; workers inherit the mode.
    """
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.environ.setdefault("PYTHONIOENCODING", "ascii")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def lost(name: str = "stdout") -> OSError | None:
    """Why the stream is no longer written; None if it is."""
    return _files[name].lost if name in _files else None


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs: the nearest ASCII text, otherwise the code of the character, such as \\u4e2d."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = []
    for character in error.object[error.start : error.end]:
        letter = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        shown.append(_ASCII.get(character) or letter or character.encode("ascii", "backslashreplace").decode())
    return "".join(shown), error.end
