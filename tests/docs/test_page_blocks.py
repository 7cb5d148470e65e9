"""What the pages show can be typed: every command and example runs, or says why not."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import page_blocks
import pytest
from page_blocks import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *page_blocks.PAGES]
BLOCKS = {page: list(blocks(page)) for page in PAGES}
# A Chinese page has the blocks of the English one (test_chinese.py), but for the home.
TRANSLATED = [*ROOT.glob("docs/zh/start.md"), *ROOT.glob("docs/zh/tutorials/*.md")]
RUN = [page for page in PAGES if page not in TRANSLATED and any(block.is_run for block in BLOCKS[page])]
DEMO = [sys.executable, "-m", "initbench", "-m", "study=demo", "model=mlp", "init=default,zeros", "seed=range(6)"]
SHOWN = ("", "json", "latex", "text", "yaml", "{eval-rst}", "{include}", "{raw}", "{toctree}")  # never run


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_is_of_a_known_language_and_compiles(page: Path) -> None:
    for block in BLOCKS[page]:
        assert block.language.partition(" ")[0] in (*SHOWN, "python", "sh"), block
        if block.language == "python":
            ast.parse(block.text, f"{page}:{block.line}")


def test_every_fence_is_found() -> None:
    for page, found in BLOCKS.items():
        fences = [line for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
        assert len(fences) == 2 * len(found), page


@pytest.mark.docs
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", RUN, ids=name)
def test_what_a_page_says_can_be_done(page: Path, tmp_path: Path) -> None:
    if "runs/demo" in page.read_text():  # in place of that of `make demo`
        subprocess.run(DEMO, cwd=tmp_path, check=True, capture_output=True)
    command = [sys.executable, str(page_blocks.__file__), str(page)]
    env = {**os.environ, "COLUMNS": "120", "WANDB_MODE": "offline", "MPLBACKEND": "agg"}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"


def test_a_page_is_followed_block_by_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\n# mine/one.py\nONE = 1\n```\n\n"
        "<!-- before:\ntwo = 2\n-->\n```python\nfrom mine.one import ONE\nassert (ONE, two) == (1, 2)\n```\n\n"
        "<!-- not run: hours -->\n```sh\nexit 1\n```\n\n"
        "1. In a list:\n\n   <!-- exits: 3 -->\n   ```sh\n   cat mine/one.py > copy.txt\n   exit 3\n   ```\n\n"
        "```text\nnothing\n```\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, str(page_blocks.__file__), str(page)]
    subprocess.run(command, cwd=folder, check=True)
    assert (folder / "copy.txt").read_text() == "# mine/one.py\nONE = 1\n"
    page.write_text(page.read_text().replace("exits: 3", "exits: 4"))
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert "page.md, line 22: exit code 3" in ended.stderr
