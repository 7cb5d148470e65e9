"""The site in a real Chromium: every page fits a phone, asks the network nothing, and can be found."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import browser, needs_chromium
from playwright.sync_api import Browser, Page

__all__ = ["browser"]
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.docs, needs_chromium]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def site() -> Path:
    """The folder of the site, which `make test-docs` builds first."""
    folder = ROOT / "build" / "site"
    assert (folder / "index.html").exists(), "make docs"
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a phone in dark mode, which in the end has asked for files only, and complained of nothing."""
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request", lambda request: None if re.match("file:|data:", request.url) else complaints.append(request.url)
    )
    yield opened
    context.close()
    assert complaints == []


def pages(site: Path) -> list[Path]:
    found = sorted(path for path in site.rglob("*.html") if path.name != "genindex.html")
    assert len(found) > 60
    return found


def test_every_page_fits_a_phone(site: Path, page: Page) -> None:
    too_wide = []
    for path in pages(site):
        page.goto(path.as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            too_wide.append(path.relative_to(site))
    assert too_wide == []


def test_the_dark_mode_of_the_device_is_followed(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    shades = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert max(map(int, shades)) < 60


@pytest.mark.parametrize("word, file", [("orthogonal", "initializers"), ("Holm", "comparison"), ("初始化", "zh")])
def test_a_search_finds_pages_without_a_server(site: Path, page: Page, word: str, file: str) -> None:
    page.goto(f"{(site / 'search.html').as_uri()}?q={word}")
    page.locator("#search-results li a").first.wait_for()
    links = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any(file in link for link in links), links


def test_every_link_between_pages_leads_to_a_place(site: Path, page: Page) -> None:
    broken = []
    places = {path: set(re.findall(r' id="([^"]+)"', path.read_text())) for path in pages(site)}
    for path in places:
        for target in re.findall(r' href="((?!\w+:)[^"]*)"', path.read_text()):
            name, _, place = target.partition("#")
            file = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not file.exists() or (place and file in places and place not in places[file]):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []
