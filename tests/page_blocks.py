"""The code blocks of a page, and what is to be done with each.

Run as a program, `python tests/page_blocks.py PAGE`, it does what a reader of the page would do, in the folder where it
is started.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(
    r"(?P<notes>(?:^ *<!--(?:(?!-->).)*-->\n+)*)^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_NOTE = re.compile(r"<!-- (not run|before|exits):\s(.*?)\s*-->", re.DOTALL)
_PATH = re.compile(r"(?:#|//) (?P<path>[\w./-]+\.\w+)\n")


ROOT = Path(__file__).resolve().parent.parent
_GENERATED = ROOT / "docs" / "reference" / "initializers"  # by `make docs`, from the code
PAGES = [page for page in sorted(ROOT.glob("docs/**/*.md")) if page.parent != _GENERATED]


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    path: of the file that the block shows, which is its first line. reason: why it is not run. before: Python code that
    runs before it and is not shown. exits: the exit code of its commands.
    """

    page: Path
    line: int
    language: str
    text: str
    path: str | None
    reason: str | None
    before: str
    exits: int

    @property
    def is_run(self) -> bool:
        return self.reason is None and self.path is None and self.language in ("sh", "python")


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        notes = dict(_NOTE.findall(found["notes"]))
        content = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        path = _PATH.match(content)
        yield Block(
            page,
            line=text.count("\n", 0, found.start("info")) + 1,
            language=found["info"],
            text=content,
            path=path["path"] if path else None,
            reason=notes.get("not run"),
            before=notes.get("before", ""),
            exits=int(notes.get("exits", 0)),
        )


def follow(page: Path) -> None:
    """Do what a page says: write the files that it shows, run its commands, and its Python as one session."""
    session: dict[str, Any] = {"__name__": "__main__"}
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    for block in blocks(page):
        if block.reason is None and block.path is not None:
            file = folder / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
            continue
        if not block.is_run:
            continue
        # Empty lines before the code: a traceback shows the line of the page.
        exec(compile("\n" * block.line + block.before, str(page), "exec"), session)
        if block.language == "sh":
            print(f"\n$ {block.text}", flush=True)
            ended = subprocess.run(["bash", "-e", "-c", block.text], stdin=subprocess.DEVNULL)
            assert ended.returncode == block.exits, f"{page.name}, line {block.line}: exit code {ended.returncode}"
        else:
            print(f"\n>>> {block.text}", flush=True)
            exec(compile("\n" * block.line + block.text, str(page), "exec"), session)


if __name__ == "__main__":
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    follow(Path(sys.argv[1]).resolve())
