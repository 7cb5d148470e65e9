"""A number for each layer and quantity of a diagnosis, against a mean by hand."""

import math
from collections.abc import Sequence

import pytest

from initbench.diagnostics.scalars import for_loggers, known_mean, scalars


def row(quantity: str, layer: str, value: float, index: int = 0) -> dict[str, object]:
    return {"quantity": quantity, "layer": layer, "index": index, "value": value}


@pytest.mark.parametrize(
    "values, mean", [([1.0, 3.0], 2.0), ([1.0, math.nan, 3.0], 2.0), ([], math.nan), ([math.nan], math.nan)]
)
def test_what_is_unknown_does_not_count(values: Sequence[float], mean: float) -> None:
    assert known_mean(values) == pytest.approx(mean, nan_ok=True)


def test_a_layer_has_the_mean_over_its_pairs_and_the_net_a_name_of_its_own() -> None:
    rows = [row("correlation", "fc", 0.5, 0), row("correlation", "fc", 1.0, 1), row("correlation", "head", 0.25)]
    assert scalars([*rows, row("loss", "", 2.5)]) == {"correlation/fc": 0.75, "correlation/head": 0.25, "loss": 2.5}


def test_of_a_spectrum_the_ends_are_kept_and_of_a_curve_each_point() -> None:
    spectrum = [row("singular_value", "", value, place) for place, value in enumerate((3.0, 2.0, 0.5))]
    curve = [row("loss_along_gradient", "", value, place) for place, value in enumerate((2.0, 4.0))]
    assert scalars([*spectrum, *curve]) == {
        "singular_value/largest": 3.0,
        "singular_value/smallest": 0.5,
        "loss_along_gradient/0": 2.0,
        "loss_along_gradient/1": 4.0,
    }


def test_loggers_get_what_is_finite_beside_what_they_get_of_training() -> None:
    rows = [row("loss", "", 2.5), row("dead", "fc", math.inf), row("correlation", "fc", math.nan)]
    assert for_loggers(rows) == {"diagnostics/loss": 2.5}
