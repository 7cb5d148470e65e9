"""What a user may have meant, whatever the case of letters."""

import pytest

from initbench.errors import nearest, unknown


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("MNIST", "mnist"),
        ("rellu", "relu"),
        ("CONV2D", "Conv2d"),
        ("conv2d", "Conv2d"),
        ("Orthogonal_", "orthogonal"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_match_is_named_as_it_is_written(typed: str, meant: str | None) -> None:
    said = nearest(typed, ["mnist", "kmnist", "relu", "Conv2d", "orthogonal"])
    assert said == ("" if meant is None else f" Did you mean {meant!r}?")


def test_what_is_unknown_is_told_with_all_that_is_allowed() -> None:
    assert str(unknown("colour", "reed", ["red", "blue"])) == (
        "unknown colour 'reed'. Did you mean 'red'? Allowed: blue, red"
    )
    assert str(unknown("number", 7, ["red"])) == "unknown number 7. Allowed: red"
