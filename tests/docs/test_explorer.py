# ruff: noqa: RUF001 - the page has a sigma and a times
"""The explorer of the docs in a real Chromium: its theory, its simulated networks and its controls."""

import math
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import explorer_data
import numpy as np
import pytest
import torch
from chromium import browser, needs_chromium
from playwright.sync_api import Browser, Page, expect
from scipy.integrate import cubature, quad

from initbench.init.gain import Nonlinearity, named
from initbench.init.schemes.mean_field import chi, critical, depth_scale, q_star

DOCS = Path(__file__).resolve().parents[2] / "docs"
__all__ = ["browser"]
pytestmark = [pytest.mark.docs, needs_chromium]
NAMES = list(explorer_data.ACTIVATIONS)
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw HTML of docs/explorer.md as a page of its own."""
    folder = tmp_path_factory.mktemp("site")
    (block,) = re.findall(r"```\{raw\} html\n(.*?)\n```", (DOCS / "explorer.md").read_text(), re.DOTALL)
    viewport = '<meta name="viewport" content="width=device-width">'
    (folder / "page.html").write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{viewport}{block}')
    shutil.copytree(DOCS / "_static", folder / "_static")
    return folder / "page.html"


@pytest.fixture
def opened(browser: Browser, path: Path) -> Iterator[Open]:
    """A function that opens the page at an address; in the end nothing was complained of, and no request left it."""
    pages: list[Page] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_page(address: str = "", **options: Any) -> Page:
        page = browser.new_page(**options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri() + address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(path.parent.as_uri())] == []


@pytest.fixture(scope="module")
def theory(browser: Browser, path: Path) -> Iterator[Callable[..., Any]]:
    """A function of theory.js, or the data, by JavaScript."""
    page = browser.new_page()
    page.goto(path.as_uri())
    yield lambda script, *arguments: page.evaluate(f"(args) => {script}", list(arguments))
    page.close()


def phi(name: str) -> Nonlinearity:
    return Nonlinearity("erf", function=torch.erf) if name == "erf" else named(name)


def values(name: str, x: Any) -> Any:
    return phi(name)(torch.as_tensor(x, dtype=torch.float64)).numpy()


def slopes(name: str, x: float) -> float:
    at = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    phi(name)(at[None]).sum().backward()
    return float(at.grad)


def expectation(f: Callable[[float], float], q: float) -> float:
    """E[f(z)] for z ~ N(0, q), on either side of the kink at 0."""

    def integrand(z: float) -> float:
        return f(math.sqrt(q) * z) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    return sum(quad(integrand, *ends, epsabs=1e-11, epsrel=1e-10)[0] for ends in ((-12, 0), (0, 12)))


def covariance(name: str, q: float, c: float) -> float:
    """E[phi(z1) phi(z2)], quadrant by quadrant, so that kinks lie on borders."""

    def integrand(z: Any) -> Any:
        form = (z[:, 0] ** 2 - 2 * c * z[:, 0] * z[:, 1] + z[:, 1] ** 2) / (1 - c * c)
        density = np.exp(-0.5 * form) / (2 * math.pi * math.sqrt(1 - c * c))
        return values(name, math.sqrt(q) * z[:, 0]) * values(name, math.sqrt(q) * z[:, 1]) * density

    corners = [([x, y], [x + 10, y + 10]) for x in (-10, 0) for y in (-10, 0)]
    return sum(float(cubature(integrand, *corner, rtol=1e-8, atol=1e-10).estimate) for corner in corners)


@pytest.mark.parametrize("q", [1e-4, 0.6, 12.0])
@pytest.mark.parametrize("name", NAMES)
def test_theory_equals_quadrature_by_scipy(theory: Callable[..., Any], name: str, q: float) -> None:
    of = f"MeanField.ACTIVATIONS.{name}"
    square = expectation(lambda x: float(values(name, x)) ** 2, q)
    assert theory(f"MeanField.nextVariance({of}.phi, args[0], 1.3, 0.4)", q) == pytest.approx(
        1.69 * square + 0.16, rel=1e-7
    )
    slope = expectation(lambda x: slopes(name, x) ** 2, q)
    assert theory(f"MeanField.chi({of}.slope, args[0], 1.3)", q) == pytest.approx(1.69 * slope, rel=1e-7)
    for c in (-0.4, 0.2, 0.95):
        found = theory(f"MeanField.product({of}.phi, args[0], args[1])", q, c)
        assert found == pytest.approx(covariance(name, q, c), rel=1e-6, abs=1e-6 * square)


@pytest.mark.parametrize("c", [-1.0, -0.7, 0.0, 0.3, 0.99, 0.9999999, 1.0])
@pytest.mark.parametrize("q", [1e-30, 0.5, 900.0, 1e30])
def test_theory_equals_closed_forms(theory: Callable[..., Any], q: float, c: float) -> None:
    angle = math.acos(c)
    arc_cosine = q / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * c)  # Cho & Saul 2009
    found = theory("['relu', 'linear'].map((n) => MeanField.product(MeanField.ACTIVATIONS[n].phi, ...args))", q, c)
    assert found == pytest.approx([arc_cosine, q * c], rel=1e-6, abs=1e-6 * q)
    if q < 1e4:
        arc_sine = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))  # Williams 1997
        found = theory("MeanField.product(MeanField.ACTIVATIONS.erf.phi, ...args)", q, c)
        assert found == pytest.approx(arc_sine, rel=1e-6, abs=1e-6)


def test_relu_halves_the_variance_of_small_weights_and_keeps_that_of_kaiming(theory: Callable[..., Any]) -> None:
    halved = theory("MeanField.propagate('relu', 1, 0, 40, [0.2])")
    assert halved["variance"] == pytest.approx([0.5**k for k in range(40)], rel=1e-9)
    assert halved["gradient"] == pytest.approx([0.5**k for k in range(40)], rel=1e-9)
    kept = theory("MeanField.propagate('relu', Math.SQRT2, 0, 40, [0.2])")
    assert kept["variance"] == pytest.approx([2.0] * 40, rel=1e-9)
    assert kept["gradient"] == pytest.approx([1.0] * 40, rel=1e-9)
    assert kept["correlation"] == [pytest.approx(halved["correlation"][0], rel=1e-9)]
    assert theory("[MeanField.limit('relu', 1, 0).q, MeanField.limit('relu', 1.5, 0).q]") == [0, math.inf]
    assert theory("MeanField.critical('relu', 0)") == pytest.approx(math.sqrt(2), rel=1e-9)
    assert theory("[MeanField.critical('relu', 0.1), MeanField.critical('linear', 0.1)]") == [None, None]


def test_the_edge_of_tanh_is_that_of_schoenholz_et_al(theory: Callable[..., Any]) -> None:
    sigma_w = theory("MeanField.critical('tanh', Math.sqrt(0.05))")
    assert sigma_w**2 == pytest.approx(1.7610, abs=1e-4)
    assert theory("MeanField.limit('tanh', args[0], Math.sqrt(0.05)).q", sigma_w) == pytest.approx(0.5700, abs=1e-4)
    depths = [theory("MeanField.limit('tanh', args[0] ** 0.5, 0.05 ** 0.5).depthOfCorrelation", w) for w in (1, 1.3)]
    assert [6 * depth for depth in depths] == pytest.approx([21.8, 47.0], abs=0.05)


@pytest.mark.parametrize("sigma_b", [0.0, 0.05**0.5, 0.5, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_the_edge_of_chaos_is_that_of_mean_field(theory: Callable[..., Any], name: str, sigma_b: float) -> None:
    try:
        expected = critical(phi(name), sigma_b)[0]
    except ValueError:
        expected = None
    assert theory(f"MeanField.critical('{name}', args[0])", sigma_b) == (expected and pytest.approx(expected, rel=2e-6))


@pytest.mark.parametrize(
    "name, sigma_w, sigma_b",
    [("tanh", 1.0, 0.3), ("tanh", 2.5, 0.5), ("tanh", 2.0, 0.0), ("erf", 0.7, 0.1), ("gelu", 0.5, 1.0),
     ("silu", 1.2, 0.2), ("selu", 0.9, 0.2), ("sigmoid", 2.0, 0.5), ("relu", 1.0, 0.5)],
)  # fmt: skip  # several to a line
def test_deep_layers_are_those_of_mean_field(
    theory: Callable[..., Any], name: str, sigma_w: float, sigma_b: float
) -> None:
    found = theory(f"MeanField.limit('{name}', ...args)", sigma_w, sigma_b)
    assert found["q"] == pytest.approx(q_star(sigma_w, sigma_b, phi(name)), rel=1e-5)
    assert found["chi"] == pytest.approx(chi(sigma_w, sigma_b, phi(name)), rel=1e-5)
    assert found["depthOfCorrelation"] == pytest.approx(depth_scale(sigma_w, sigma_b, phi(name)), rel=1e-4)
    assert found["phase"] == ("ordered" if found["chi"] < 1 else "chaotic")


@pytest.mark.parametrize(
    "family, point",
    [("normal", ("relu", 1.0, 0.0)), ("normal", ("tanh", 1.2, 0.5)), ("normal", ("gelu", 2.0, 0.2236)),
     ("uniform", ("selu", 0.5774, 0.0722)), ("orthogonal", ("silu", 1.6765, 0.0)),
     ("tanh_fixed_point", ("tanh", 0.9958, 0.0))],
)  # fmt: skip  # several to a line
def test_the_data_are_those_of_the_script(theory: Callable[..., Any], family: str, point: explorer_data.Point) -> None:
    last = 14
    seeds = [explorer_data.simulate(family, 64, seed, [point], last) for seed in range(explorer_data.SEEDS[64])]
    (expected,) = explorer_data.summary(np.stack(seeds))
    key = f"{point[0]} {family} 64 {point[1]:g} {point[2]:g}"
    row = np.array(theory(f"EXPLORER.simulations['{key}']")).reshape(8, len(explorer_data.LAYERS))
    count = sum(layer <= last for layer in explorer_data.LAYERS)
    assert row[:, :count].ravel().tolist() == expected


@pytest.mark.parametrize("name", NAMES)
def test_wide_networks_are_as_the_theory_says(theory: Callable[..., Any], name: str) -> None:
    """The mean of five networks of width 1024 is within its sampling error, in the layers 2 to 14."""
    count, seeds = 4, explorer_data.SEEDS[1024]
    layers = explorer_data.LAYERS[:count]
    for sigma_w, sigma_b in ((1.0, 0.0), (0.5, 0.5), (1.4142, 0.2236), (2.0, 1.0)):
        row = np.array(theory(f"EXPLORER.simulations['{name} normal 1024 {sigma_w:g} {sigma_b:g}']"))
        found = row.reshape(4, 2, len(explorer_data.LAYERS))[..., :count] / 1000
        found[:2, 0] *= 10
        expected = theory(f"MeanField.propagate('{name}', args[0], args[1], 14, [0.2, 0.95])", sigma_w, sigma_b)
        logs = [np.log10([expected[key][layer - 1] for layer in layers]) for key in ("variance", "gradient")]
        correlations = [[values[layer - 1] for layer in layers] for values in expected["correlation"]]
        distance = np.abs(found[:, 0] - np.stack([*logs, *correlations]))
        # Means of five have Student's t; variances of narrow spread are rounded; and logarithms are below by l / width.
        depth = np.array(layers) / 1024
        assert (distance <= 6 * found[:, 1] / math.sqrt(seeds) + 0.006 + depth).all(), (sigma_w, sigma_b, distance)


def test_every_initializer_and_every_point_of_the_grid_was_simulated(theory: Callable[..., Any]) -> None:
    data = theory("EXPLORER")
    rows = data["simulations"]
    for width, place in zip(data["widths"], range(3), strict=True):
        for name in NAMES:
            for init, family in data["families"].items():
                if not isinstance(sigmas := data["sigmas"][init][place][name], str):
                    assert f"{name} {family} {width} {sigmas[0]:g} {sigmas[1]:g}" in rows
            for w in data["grid"]["sigma_w"]:
                assert {f"{name} normal {width} {w:g} {b:g}" for b in data["grid"]["sigma_b"]} <= set(rows)
    assert (DOCS / "_static" / "explorer" / "data.js").stat().st_size < 300_000


def test_a_slider_changes_the_picture_and_the_address(opened: Open) -> None:
    page = opened("#activation=relu&init=xavier_normal&sigma_w=1&sigma_b=0&depth=30&width=256")
    line = page.locator("[data-part=variance] .theory").first
    before = line.get_attribute("d")
    expect(page.locator("[data-part=sentence]")).to_contain_text("halves at every layer; at layer 30 it is 1.9 × 10⁻⁹")
    expect(page.locator("[data-part=headline]")).to_contain_text("ReLU, σ_w = 1, σ_b = 0: ordered phase")
    page.get_by_role("slider", name="Size of the weights").press("ArrowRight")
    expect(page.locator("[data-part=headline]")).to_contain_text("σ_w = 1.01")
    expect(page.locator("[data-part=networks]")).to_contain_text("nearest simulated values, σ_w = 1 and σ_b = 0")
    assert line.get_attribute("d") != before
    assert page.locator("[data-part=variance] .nearby").count() == 1
    assert "init=&sigma_w=1.01" in page.url
    page.get_by_role("slider", name="Depth").fill("4")
    expect(page.locator("[data-part=gradient] circle")).to_have_count(2)


def test_an_initializer_sets_the_sliders(opened: Open) -> None:
    page = opened()
    page.get_by_label("Initializer").select_option("kaiming_normal")
    expect(page.locator("[data-part=headline]")).to_contain_text("ReLU, σ_w = 1.4142, σ_b = 0: edge of chaos")
    page.get_by_label("Activation").select_option("tanh")
    expect(page.locator("[data-part=headline]")).to_contain_text("tanh, σ_w = 1.6667, σ_b = 0: chaotic phase")
    page.get_by_label("Initializer").select_option("trunc_normal")
    for width, sigma in {"64": 0.16, "1024": 0.64}.items():
        page.get_by_label("Width").select_option(width)
        expect(page.locator("[data-part=headline]")).to_contain_text(f"σ_w = {sigma},")
    page.get_by_label("Initializer").select_option("mean_field")
    expect(page.locator("[data-part=headline]")).to_contain_text("σ_w = 1.327, σ_b = 0.2236: edge of chaos")
    page.get_by_label("Activation").select_option("gelu")
    expect(page.locator("[data-part=refusal]")).to_contain_text("mean_field refuses this network: gelu has no critical")
    assert page.locator("option[value=mean_field]").is_disabled()


def test_the_edge_of_chaos_is_found_by_a_button(opened: Open) -> None:
    page = opened("#activation=tanh&sigma_w=2&sigma_b=0.5")
    expect(page.locator("[data-part=headline]")).to_contain_text("chaotic phase")
    page.get_by_role("button").click()
    expect(page.locator("[data-part=headline]")).to_contain_text("σ_w = 1.5497, σ_b = 0.5: edge of chaos")
    page.get_by_label("Activation").select_option("relu")
    page.get_by_role("button").click()
    expect(page.locator("[data-part=refusal]")).to_contain_text("ReLU has no edge of chaos")


def test_an_address_restores_what_was_seen_and_a_wrong_one_breaks_nothing(opened: Open) -> None:
    page = opened("#activation=selu&init=&sigma_w=0.77&sigma_b=0.3&depth=12&width=64")
    shown = page.locator(".explorer-live").inner_text()
    assert "SELU, σ_w = 0.77, σ_b = 0.3" in shown
    page.goto(page.url.replace("page.html", "page.html?again"))
    assert page.locator(".explorer-live").inner_text() == shown
    page = opened("#activation=constructor&init=__proto__&sigma_w=NaN&sigma_b=-5&depth=1e9&width=7")
    expect(page.locator("[data-part=headline]")).to_contain_text("ReLU, σ_w = 1, σ_b = 0")
    assert page.get_by_role("slider", name="Depth").input_value() == "64"
    page.evaluate("location.hash = '#what-is-shown'")
    expect(page.locator("[data-part=headline]")).to_contain_text("ReLU, σ_w = 1, σ_b = 0")


@pytest.mark.parametrize("name", NAMES)
def test_every_corner_has_a_picture(opened: Open, name: str) -> None:
    page = opened()
    for sigma_w, sigma_b in ((0.1, 0), (3, 0), (0.1, 1), (3, 1)):
        page.evaluate(f"location.hash = '#activation={name}&sigma_w={sigma_w}&sigma_b={sigma_b}&depth=64&width=64'")
        expect(page.locator("[data-part=headline]")).to_contain_text(f"σ_w = {sigma_w}, σ_b = {sigma_b}")
        assert not re.search("NaN|undefined|null", page.locator(".explorer-live").inner_html())


def test_the_numbers_are_a_table_too(opened: Open) -> None:
    page = opened("#activation=relu&init=kaiming_normal&depth=30")
    page.get_by_text("Show the numbers").click()
    expect(page.locator(".explorer-numbers tr")).to_have_count(7)
    assert page.locator(".explorer-numbers tr").nth(1).locator("td").all_text_contents()[:2] == ["2", "2"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(opened: Open, scheme: Any) -> None:
    page = opened(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = page.locator("[data-part=variance] .theory").first.evaluate("line => getComputedStyle(line).stroke")
    assert colour == {"light": "rgb(0, 105, 180)", "dark": "rgb(108, 182, 255)"}[scheme]


def test_without_javascript_there_is_a_picture(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    expect(page.locator(".explorer-still img")).to_be_visible()
    expect(page.locator(".explorer-live")).to_be_hidden()
