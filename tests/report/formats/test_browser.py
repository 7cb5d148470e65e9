"""The page in a real Chromium: it draws, switches, filters and links, and asks the network nothing."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from chromium import browser, needs_chromium
from fitted import curves_of, write_fits
from frames import record
from playwright.sync_api import Browser, Page, expect
from studies import write_study

import initbench
from initbench.report.write import write_page

__all__ = ["browser"]
pytestmark = needs_chromium
NASTY = [
    "<script>alert(1)</script>",
    "</script><b>",
    "ünïcode 初期化",
    "a|b`c",
    "$x_1$ & 50%",
    "__proto__",
    "constructor",
]


@dataclass
class Opened:
    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def plot(self, name: str) -> Any:
        return self.page.locator(f'figure[id^="{name}"]').first

    def drawn(self, name: str) -> dict[str, Any]:
        """What plotly drew of a plot: its layout, and the traces that are lines or points, by name."""
        figure = self.plot(name)
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
        script = "canvas => ({layout: canvas.layout, data: canvas.data})"
        found = figure.locator(".canvas").evaluate(script)
        return {"layout": found["layout"], "traces": {t["name"]: t for t in found["data"] if t.get("fill") != "toself"}}


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """A function that writes the page of a study and opens it; in the end nothing was complained of or asked for."""
    all_opened: list[Opened] = []

    def open_study(study: Path, **options: Any) -> Opened:
        path = write_page(initbench.verdict(initbench.load_runs(study)), study / "report", study.name)
        one = Opened(browser.new_page(**options))
        one.page.on("console", lambda message: one.complaints.append(message.text))
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on("dialog", lambda dialog: one.complaints.append(dialog.message))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(path.as_uri())
        all_opened.append(one)
        return one

    yield open_study
    for one in all_opened:
        for figure in one.page.locator("figure.plot").all():
            figure.scroll_into_view_if_needed()
            figure.locator(".main-svg").first.wait_for()
        one.page.close()
        assert one.complaints == []
        assert [url for url in one.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three initializers at two learning rates, with everything that a page can have."""
    runs = [
        record(init, n, 0.7 + 0.05 * k + 0.01 * n + 0.1 * (lr == 1.0), lr=lr)
        for k, init in enumerate(("he", "xavier", "orthogonal"))
        for n in range(3)
        for lr in (0.1, 1.0)
    ]
    return write_study(tmp_path / "study", *runs, layers=[1.0, 0.1, 0.0])


def test_the_logarithm_is_switched(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    for plot, axis in (("curves", "y"), ("curves", "x"), ("survival", "x"), ("lr", "y"), ("depth", "y")):
        before = one.drawn(plot)["layout"][f"{axis}axis"]["type"]
        button = one.plot(plot).locator(f'[data-log="{axis}"]')
        assert button.get_attribute("aria-pressed") == ("true" if before == "log" else "false")
        button.click()
        after = one.drawn(plot)["layout"][f"{axis}axis"]["type"]
        assert {before, after} == {"log", "linear"}
        assert button.get_attribute("aria-pressed") == ("true" if after == "log" else "false")


def test_the_legend_shows_and_hides(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    assert set(one.drawn("curves")["traces"]) == {"he", "xavier", "orthogonal"}
    one.page.get_by_role("checkbox", name="xavier").uncheck()
    for plot in ("curves", "ranking"):
        assert set(one.drawn(plot)["traces"]) == {"he", "orthogonal"}
    assert one.page.locator('#overall tr[data-init="xavier"]').is_hidden()
    one.page.get_by_role("button", name="none").click()
    assert one.drawn("curves")["traces"] == {}
    one.page.get_by_role("button", name="all").click()
    assert len(one.drawn("curves")["traces"]) == 3


def test_views_are_chosen(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    assert one.drawn("curves")["layout"]["yaxis"]["title"]["text"] == "validation error"
    one.plot("curves").get_by_label("what").select_option("validation accuracy")
    assert one.drawn("curves")["layout"]["yaxis"]["type"] == "linear"
    assert one.drawn("curves")["traces"]["orthogonal"]["y"][-1] == pytest.approx(0.91)
    one.plot("curves").get_by_label("against").select_option("seconds")
    assert one.drawn("curves")["traces"]["orthogonal"]["x"][0] == 0.5


def test_a_plot_is_a_table_too_whose_numbers_lead_to_runs(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    figure = one.plot("curves")
    one.drawn("curves")
    figure.get_by_text("Show as a table").click()
    expect(figure.locator("tbody tr")).to_have_count(10)
    assert figure.locator("th").all_text_contents() == ["steps", "orthogonal", "xavier", "he"]
    figure.locator("tbody tr").last.locator("a").first.click()
    expect(one.page.locator("#count")).to_have_text("3 of 18")
    shown = one.page.locator("#run-table tbody tr:visible")
    assert {row.get_attribute("data-init") for row in shown.all()} == {"orthogonal"}
    assert {row.get_attribute("data-lr") for row in shown.all()} == {"1"}  # the rate that validation chose


def test_the_runs_are_filtered_sorted_and_found_again(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    count = one.page.locator("#count")
    expect(count).to_have_text("18 of 18")
    one.page.locator('select[data-filter="init"]').select_option("he")
    expect(count).to_have_text("6 of 18")
    one.page.locator('select[data-filter="lr"]').select_option("1")
    expect(count).to_have_text("3 of 18")
    assert one.page.locator("#run-table tbody tr:visible").count() == 3
    one.page.get_by_role("button", name="clear").click()
    expect(count).to_have_text("18 of 18")
    one.page.get_by_role("button", name="test accuracy").click()
    cells = one.page.locator("#run-table tbody tr td:nth-child(6)").all_text_contents()
    assert [float(cell) for cell in cells] == sorted(map(float, cells))
    link = one.page.locator('#overall tr[data-init="he"] td a').first
    for _ in range(2):  # a second time, after the filters were changed by hand
        link.click()
        expect(count).to_have_text("3 of 18")
        one.page.get_by_role("searchbox").fill("no such run")
        expect(count).to_have_text("0 of 18")


def test_it_works_without_a_mouse(opened: Callable[..., Opened], study: Path) -> None:
    one = opened(study)
    one.page.keyboard.press("Tab")  # light / dark
    before = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    one.page.keyboard.press("Enter")
    assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    one.page.keyboard.press("Tab")  # the first of the legend
    assert one.page.evaluate("document.activeElement.dataset.init") == "orthogonal"
    one.page.keyboard.press("Space")
    assert set(one.drawn("curves")["traces"]) == {"he", "xavier"}
    one.plot("curves").locator("summary").focus()
    one.page.keyboard.press("Enter")
    expect(one.plot("curves").locator("tbody tr")).to_have_count(10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_colours(opened: Callable[..., Opened], study: Path, scheme: Any) -> None:
    one = opened(study, color_scheme=scheme)
    red = int(one.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
    assert (red < 64) == (scheme == "dark")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(opened: Callable[..., Opened], study: Path, width: int) -> None:
    one = opened(study, viewport={"width": width, "height": 800})
    one.drawn("curves")
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width


def write_curves(folder: Path, function: str, task: str) -> Path:
    runs = [record(init, 0, score) for init, score in (("he", 0.6), ("xavier", 0.7), ("true function", 0.8))]
    return write_fits(folder, *runs, data=curves_of(function), task=task)


def test_a_fit_is_shown_over_the_true_function(opened: Callable[..., Opened], tmp_path: Path) -> None:
    one = opened(write_curves(tmp_path / "s", "sine", "Regression"))
    assert list(one.drawn("fit")["traces"]) == ["test set", "true function", "xavier", "he"]
    legend = one.plot("fit").locator(".legend text").all_text_contents()
    assert legend == ["test set", "true function"]  # the others are in the legend of the page
    assert one.plot("fit").locator("[data-log]").count() == 0
    one.page.get_by_role("checkbox", name="xavier").uncheck()
    assert list(one.drawn("fit")["traces"]) == ["test set", "true function", "he"]
    one.plot("fit").get_by_text("Show as a table").click()
    expect(one.plot("fit").locator("tbody tr")).to_have_count(21)


@pytest.mark.parametrize("function, task", [("peaks", "Regression"), ("spirals", "Classification")])
@pytest.mark.parametrize("width", [1280, 390])
def test_maps_are_shown_beside_the_truth(
    opened: Callable[..., Opened], tmp_path: Path, function: str, task: str, width: int
) -> None:
    one = opened(write_curves(tmp_path / "s", function, task), viewport={"width": width, "height": 800})
    drawn = one.drawn("fit")
    panels = [annotation["text"] for annotation in drawn["layout"]["annotations"]]
    assert panels == ["true function" if function == "peaks" else "true classes", "true function", "xavier", "he"]
    assert one.plot("fit").locator(".subplot.x4y4").count() == 1
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    one.page.get_by_role("checkbox", name="xavier").uncheck()
    assert len(one.drawn("fit")["layout"]["annotations"]) == 3
    one.plot("fit").get_by_text("Show as a table").click()
    expect(one.plot("fit").locator("tbody tr")).to_have_count(21)
    assert one.plot("fit").locator("th").all_text_contents()[0] == "first variable, second variable"


ADVERSARIAL: dict[str, list[dict[str, Any]]] = {
    "all diverged": [record(i, n, None, status="diverged", hits=(None, None)) for i in "ab" for n in (0, 1)],
    "one seed": [record(init, 0, 0.5 + 0.1 * n) for n, init in enumerate("abc")],
    "missing cells": [
        record(init, n, 0.6 + 0.1 * n, model={"depth": d})
        for init, depths in (("a", (1, 2)), ("b", (2,)), ("c", (1, 3)))
        for d in depths
        for n in range(d)
    ],
    "two runs": [record("a", 0, 0.7), record("b", 1, 0.8)],
    "one run": [record("a", 0, 0.7)],
    "nothing ended": [record("a", 0, status="failed"), record("b", 0, status="running")],
    "perfect": [record(init, n, 1.0) for init in "ab" for n in range(5)],
    "names": [record(init, n, 0.5 + 0.01 * n) for init in NASTY for n in (0, 1)],
    "no learning rate": [record("a", 0, 0.7, lr=None), record("b", 0, 0.8, lr=None)],
    "every outcome": [
        record("a", 0, 0.7),
        record("b", 0, status="failed", reason="ValueError: <nan>"),
        record("c", 0, status="refused", reason="no branch"),
        record("d", 0, None, status="diverged", hits=(None, None)),
        record("e", 0, status="interrupted"),
        record("f", 0, status="running"),
    ],
}


@pytest.mark.parametrize("case", ADVERSARIAL)
def test_an_adversarial_study_has_a_page(case: str, opened: Callable[..., Opened], tmp_path: Path) -> None:
    runs = ADVERSARIAL[case]
    one = opened(write_study(tmp_path / case, *runs))
    expect(one.page.locator("#count")).to_have_text(f"{len(runs)} of {len(runs)}")
    labels = one.page.locator("#legend label").all_text_contents()
    assert {label.strip() for label in labels} == {run["init"] for run in runs}
    for init in {run["init"] for run in runs}:
        one.page.locator('select[data-filter="init"]').select_option(init)
        expected = sum(run["init"] == init for run in runs)
        assert one.page.locator("#run-table tbody tr:visible").count() == expected
    for figure in one.page.locator("figure.plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
        figure.get_by_text("Show as a table").click()
        expect(figure.locator("tbody td")).not_to_have_count(0)


def test_names_are_names_in_plots(opened: Callable[..., Opened], tmp_path: Path) -> None:
    one = opened(write_study(tmp_path / "s", *ADVERSARIAL["names"]))
    shown = one.plot("ranking")
    one.drawn("ranking")
    ticks = shown.locator(".ytick text").all_text_contents()
    assert {tick.strip() for tick in ticks} == set(NASTY)


def test_a_printed_page_has_all_of_its_plots(opened: Callable[..., Opened], study: Path, tmp_path: Path) -> None:
    """Nobody has scrolled to them; they are as wide as the paper, and afterwards as wide as the screen again."""
    one = opened(study, viewport={"width": 1000, "height": 600})
    plots = one.page.locator("figure.plot .canvas")
    before = [canvas.locator(".main-svg").count() for canvas in plots.all()]
    assert 0 in before
    one.page.evaluate(
        """() => addEventListener("beforeprint", () => {
             globalThis.printed = [...document.querySelectorAll(".canvas")].map((canvas) => canvas._fullLayout?.width);
           })"""
    )
    one.page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert one.page.evaluate("globalThis.printed") == [680] * len(before)
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    expect(plots.first.locator(".main-svg").first).to_have_attribute("width", re.compile(r"9\d\d(\.\d+)?"))


def test_a_line_under_another_is_told_below_the_plot(opened: Callable[..., Opened], tmp_path: Path) -> None:
    rows = [record(init, n, 0.8) for init in ("first", "second") for n in range(2)]
    one = opened(write_study(tmp_path / "s", *rows))
    one.drawn("curves")
    expect(one.plot("curves").locator("[data-hidden]")).to_have_text("first is hidden by second.")
    one.page.get_by_role("checkbox", name="first").uncheck()
    expect(one.plot("curves").locator("[data-hidden]")).to_have_text("")


def test_means_of_too_few_runs_have_no_error_bars(opened: Callable[..., Opened], tmp_path: Path) -> None:
    rows = [record(init, n, 0.9) for init in ("a", "b") for n in range(2)]
    drawn = opened(write_study(tmp_path / "s", *rows)).drawn("ranking")
    assert [trace["error_x"]["visible"] for trace in drawn["traces"].values()] == [False, False]
