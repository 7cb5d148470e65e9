"""The Chinese pages: one for each page of the tutorials, with the same code, and each leads to the other."""

import re
from pathlib import Path

import pytest
from page_blocks import blocks

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENGLISH = [DOCS / "start.md", *sorted(DOCS.glob("tutorials/*.md"))]
PAIRS = {str(page.relative_to(DOCS)): (page, DOCS / "zh" / page.relative_to(DOCS)) for page in ENGLISH}
CHINESE = sorted(DOCS.glob("zh/**/*.md"))
HAN = "[\u4e00-\u9fff]"
WIDE = "[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef\u2014\u2026\u201c\u201d]"  # with punctuation
each_pair = pytest.mark.parametrize("name", PAIRS)
each_page = pytest.mark.parametrize("page", CHINESE, ids=lambda page: str(page.relative_to(DOCS)))


def prose(page: Path) -> str:
    """Without code, links' targets and comments; a quoted sentence of a verdict stays."""
    text = re.sub(r"^( *)```.*?^\1```$|<!--.*?-->|`[^`\n]+`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)


def test_every_page_of_the_tutorials_is_there_in_chinese() -> None:
    assert [DOCS / "zh" / "README.md", *sorted(chinese for _, chinese in PAIRS.values())] == CHINESE


@each_pair
def test_both_languages_show_the_same_code(name: str) -> None:
    english, chinese = (
        [(b.language, b.text, b.path, b.reason, b.before, b.exits) for b in blocks(page)] for page in PAIRS[name]
    )
    assert english == chinese


@each_pair
def test_both_languages_quote_the_same_sentences(name: str) -> None:
    english, chinese = (re.findall(r"^> .*$", prose(page), re.MULTILINE) for page in PAIRS[name])
    assert english == chinese


@each_pair
def test_both_languages_have_the_same_sections(name: str) -> None:
    english, chinese = (re.findall(r"^#+(?= )", prose(page), re.MULTILINE) for page in PAIRS[name])
    assert english == chinese


@each_pair
def test_each_page_leads_to_the_other(name: str) -> None:
    """In the line below the title, as in the READMEs."""
    english, chinese = PAIRS[name]
    up = "../" * name.count("/")
    assert english.read_text().splitlines()[2] == f"English · [中文]({up}zh/{name})"
    assert chinese.read_text().splitlines()[2] == f"[English]({up}../{name}) · 中文"


@each_pair
def test_a_link_leads_to_the_chinese_page_where_there_is_one(name: str) -> None:
    chinese = PAIRS[name][1]
    below_the_line = "\n".join(chinese.read_text().splitlines()[3:])
    for target in re.findall(r"\]\(((?!http|#)[^)#]+)", below_the_line):
        assert (chinese.parent / target).resolve() not in ENGLISH, target


@each_page
def test_a_chinese_page_is_in_chinese(page: Path) -> None:
    assert len(re.findall(HAN, prose(page))) > 400
    for paragraph in prose(page).split("\n\n"):
        if not re.match(r"\s*(>|$)", paragraph):  # what is quoted is in English, as it was printed
            assert re.search(HAN, paragraph), paragraph


@each_page
def test_a_line_ends_where_a_space_does_not_disturb(page: Path) -> None:
    """A browser shows the end of a line as a space, which Chinese has between itself and Latin letters only."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = re.findall(rf"^.*{WIDE}\n *{WIDE}.*$", text, re.MULTILINE)
    assert broken == []
