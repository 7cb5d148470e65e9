"""docs/how_to/audit.md shows what its example prints, and lists every finding."""

import os
import re
import sys
from pathlib import Path

from forking import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how_to" / "audit.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(blocks("python")[0])
    (command,) = blocks("sh")
    ended = run(tmp_path, [sys.executable, *command.split()[1:]], {**os.environ, "COLUMNS": "120"})
    assert (ended.returncode, ended.stderr) == (1, "")
    lines = [line.rstrip() for line in ended.stdout.strip().splitlines()]
    assert lines == [line.rstrip() for line in blocks("text")[0].strip().splitlines()]


def test_every_finding_is_listed() -> None:
    code = "".join(path.read_text() for path in (ROOT / "initbench" / "auditing").glob("*.py"))
    listed = PAGE.partition("| finding |")[2].partition("\n\n")[0]
    found = re.findall(r'Finding\(\s*"(?:error|warning|note)",\s*"([a-z, ]+)"', code)
    assert len(found) >= 15
    assert [check for check in found if check not in listed] == []
