"""A plot's payload: what the browser is sent."""

import json
import math

import numpy as np
import pytest

from initbench.report.content.plot import Plot, _short


def plot(**views: dict[str, list[float]]) -> Plot:
    series = {"a": views, "b": views}
    return Plot("name", "title", "caption", series, dict.fromkeys(views, "x"), dict.fromkeys(views, "y"))


def test_columns_that_are_alike_are_sent_once() -> None:
    payload = plot(first={"x": [1, 2], "y": [3, 4]}, second={"x": [1, 2], "y": [1, 2]}).payload
    assert payload["columns"] == [[1, 2], [3, 4]]
    assert payload["series"]["b"] == {"first": {"x": 0, "y": 1}, "second": {"x": 0, "y": 0}}


def test_what_is_no_number_is_null() -> None:
    payload = plot(first={"x": [1, 2, 3], "y": [math.nan, math.inf, 0.5]}).payload
    assert json.loads(json.dumps(payload, allow_nan=False))["columns"][1] == [None, None, 0.5]


def test_the_first_view_is_the_first_title() -> None:
    assert plot(one={"x": [1], "y": [1]}, two={"x": [2], "y": [2]}).first == "one"


def test_a_line_under_another_is_told() -> None:
    """To a pixel; on a log axis by its logarithm. One that is seen for a while is not hidden."""
    x = [0, 1, 2]
    series = {
        "under": {"v": {"x": x, "y": [0.1, 0.1, 0.1]}},
        "seen": {"v": {"x": x, "y": [0.1, 0.1, 0.9]}},
        "near": {"v": {"x": x, "y": [0.102, 0.1, 0.101]}},
        "longer": {"v": {"x": [0, 1, 2, 3], "y": [0.1, 0.1, 0.1, 0.1]}},
    }
    titles = ("name", "title", "caption")
    drawn = Plot(*titles, series, {"v": "x"}, {"v": "y"})
    assert drawn.hidden("v") == {"under": "longer", "near": "longer"}
    assert drawn.payload["hidden"] == {"v": {"under": "longer", "near": "longer"}}
    small = {"v": {"x": x, "y": [1e-9] * 3}}
    is_log = Plot(*titles, {**series, "small": small}, {"v": "x"}, {"v": "y"}, log={"v": "y"})
    assert is_log.hidden("v") == {"under": "longer", "near": "longer"}
    few = Plot(*titles, {init: series[init] for init in ("under", "near")}, {"v": "x"}, {"v": "y"}, log={"v": "y"})
    assert few.hidden("v") == {}  # where that is all there is, the axis shows it


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-7, 1.0, 1e4, 1e5, 1e12, 1e300])
def test_five_digits_are_kept(scale: float) -> None:
    values = scale * np.random.default_rng(0).uniform(-1, 1, 500)
    assert _short(values.tolist()) == pytest.approx(values, rel=5e-5)


def test_whole_numbers_stay_whole_and_words_words() -> None:
    assert json.dumps(_short([0, 100, 123456])) == "[0, 100, 123456]"
    assert _short(["a", "b"]) == ["a", "b"]
