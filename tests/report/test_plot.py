"""A plot's payload: what the browser is sent."""

import json
import math

import numpy as np
import pytest

from initbench.report.plot import Plot, _short


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


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-7, 1.0, 1e4, 1e5, 1e12, 1e300])
def test_five_digits_are_kept(scale: float) -> None:
    values = scale * np.random.default_rng(0).uniform(-1, 1, 500)
    assert _short(values.tolist()) == pytest.approx(values, rel=5e-5)


def test_whole_numbers_stay_whole_and_words_words() -> None:
    assert json.dumps(_short([0, 100, 123456])) == "[0, 100, 123456]"
    assert _short(["a", "b"]) == ["a", "b"]
