"""Values in error messages: in one line, and no longer than that."""

import pytest

from initbench.schema.allowed import shorten


@pytest.mark.parametrize(
    "value, shown",
    [
        ("a" * 58, f"'{'a' * 58}'"),  # 60 characters with its quotes
        ("a" * 59, f"'{'a' * 59}…"),
        ("a\nb", "'a\\nb'"),
        (list(range(30)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1…"),
        (None, "None"),
    ],
)
def test_a_value_is_shown_as_python_writes_it_and_cut(value: object, shown: str) -> None:
    assert shorten(value) == shown
