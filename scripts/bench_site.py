"""How long it takes until a page of the site shows something, opened from the disk in Chromium.

    make docs && python scripts/bench_site.py [--rounds 3] [--json FILE]

The first contentful paint of every page in build/site, each in a new browser context, as Chromium measures it.
"""

import os
import shutil
from functools import partial
from pathlib import Path

from benchmarking import Table, parser_of, report, take_turns, timing
from playwright.sync_api import Browser, sync_playwright

SITE = Path(__file__).resolve().parent.parent / "build" / "site"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every page, round by round."""
    pages = {str(path.relative_to(SITE)): path for path in sorted(SITE.rglob("*.html"))}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = take_turns({name: partial(paint, browser, path) for name, path in pages.items()}, rounds, warm_up=1)
        browser.close()
    return found


def paint(browser: Browser, path: Path) -> float:
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_function(f"{PAINT.partition('.startTime')[0]} !== undefined")
    milliseconds: float = page.evaluate(PAINT)
    context.close()
    return milliseconds


def table(took: dict[str, list[float]]) -> Table:
    """The ten slowest pages, and the median of all."""
    found = {name: timing(values) for name, values in took.items()}
    slowest = sorted(found, key=lambda name: -found[name].median)[:10]
    rows = [[name, f"{found[name].median:.0f}", found[name].range(".0f")] for name in slowest]
    everything = timing([time.median for time in found.values()])
    rows.append([f"all {len(found)} pages", f"{everything.median:.0f}", everything.range(".0f")])
    return Table("First contentful paint, milliseconds", ["page", "median", "range"], rows)


def main() -> None:
    asked = parser_of(__doc__).parse_args()
    report(partial(measure, asked.rounds), table, asked.json)


if __name__ == "__main__":
    main()
