"""The READMEs say the same in both languages, fit a screen, and lead to every page; no link is broken."""

import re
from pathlib import Path

import page_blocks
import pytest
import readme_blocks

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh.md")
PAGES = {path: path.read_text() for path in (*map(ROOT.joinpath, READMES), *page_blocks.PAGES)}
TEXTS = {name: (ROOT / name).read_text() for name in READMES}


def block(text: str, name: str) -> str:
    return text.partition(f"<!-- {name}:begin -->\n")[2].partition(f"\n<!-- {name}:end -->")[0]


def test_both_languages_show_the_same_demo() -> None:
    """Otherwise: make demo && python scripts/readme_blocks.py"""
    english, chinese = (block(TEXTS[name], "demo") for name in READMES)
    assert english == chinese
    assert "| `orthogonal` |" in english


@pytest.mark.parametrize("name", READMES)
def test_the_costs_are_those_of_the_benchmarks(name: str) -> None:
    """Otherwise: python scripts/readme_blocks.py"""
    assert block(TEXTS[name], "cost") == readme_blocks.costs(readme_blocks.newest(), readme_blocks.HEADINGS[name])


def test_every_benchmark_is_listed() -> None:
    """Otherwise: python scripts/readme_blocks.py"""
    index = PAGES[ROOT / "docs" / "benchmarks" / "README.md"]
    assert block(index, "tables") == readme_blocks.index()
    assert all((readme_blocks.BENCHMARKS / f"{name}.md").exists() for name in re.findall(r"^- \[(.+?)\]", index, re.M))


@pytest.mark.parametrize("name", READMES)
def test_one_screen_of_text_comes_before_the_first_table(name: str) -> None:
    before = TEXTS[name].partition("\n| ")[0]
    shown = [line for line in before.splitlines() if not line.startswith("<!--")]
    assert len(shown) <= 45


def test_both_languages_have_the_same_commands() -> None:
    english, chinese = (re.findall(r"```sh\n(.*?)```", TEXTS[name], re.DOTALL) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_no_comments_beside_them(page: Path) -> None:
    """An interactive zsh takes # and what follows for arguments."""
    for commands in re.findall(r"```sh\n(.*?)```", PAGES[page], re.DOTALL):
        assert not re.search(r"^[^#\n]+\s#|^#", commands, re.MULTILINE), commands


def anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^( *)```.*?^\1```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", prose):
        file, _, section = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert section in map(anchor, headings), target


def test_every_page_is_listed() -> None:
    index = PAGES[ROOT / "docs" / "README.md"]
    for page in PAGES:
        # index.md is this index as the home of the site; benchmarks/ and reference/python/ have an index of their own.
        if page.name not in (*READMES, "index.md") and page.parent.name not in ("benchmarks", "python"):
            assert f"({page.relative_to(ROOT / 'docs')})" in index, page
