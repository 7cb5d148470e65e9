"""Numbers, durations and names as messages write them."""

import pytest

from initbench.wording import about, count, duration, percent, spelled, visible

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    "seconds, text",
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.95, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3 * MINUTE + 5, "3 min 05 s"),
        (HOUR - 0.4, "1 h 00 min"),
        (2 * HOUR + 5 * MINUTE + 59, "2 h 05 min"),
        (DAY - 1, "23 h 59 min"),
        (DAY, "1 d 0 h"),
        (3 * DAY + 4 * HOUR + 59 * MINUTE, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "about 1 s"),
        (40.4, "about 40 s"),
        (59.4, "about 59 s"),
        (59.5, "about 1 min"),
        (6 * MINUTE + 20, "about 6 min"),
        (59 * MINUTE, "about 59 min"),
        (64 * MINUTE, "about 1 h"),
        (66 * MINUTE, "about 1 h 10 min"),
        (2 * HOUR + 10 * MINUTE, "about 2 h 10 min"),
        (DAY - 60, "about 1 d"),
        (DAY + 20 * MINUTE, "about 1 d 20 min"),
        (3 * DAY + 4 * HOUR + 30 * MINUTE, "about 3 d 4 h"),
    ],
)
def test_an_estimate_is_rounded_to_what_can_be_known(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_a_count_has_its_plural() -> None:
    assert [count(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert count(2, "entry", "entries") == "2 entries"
    assert count(1, "entry", "entries") == "1 entry"
    assert [count(number, "seed", words=True) for number in (0, 1, 12, 13)] == [
        "no seeds", "one seed", "twelve seeds", "13 seeds",
    ]  # fmt: skip  # several values to a line
    assert spelled(3) == "three"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain (gain=2), über 中 👩‍💻", "plain (gain=2), über 中 👩‍💻"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
        ("\u202eback\u2066\u200f", "\\u202eback\\u2066\\u200f"),
        ("\x9b31m\u2028\ud800", "\\x9b31m\\u2028\\ud800"),
        ("[red]x[/]", "[red]x[/]"),
        ("\u00a0\u3000 \u0928\u200d\u092f", "\u00a0\u3000 \u0928\u200d\u092f"),
    ],
)
def test_what_controls_a_terminal_is_seen_and_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "share, text", [(0.0, "0%"), (0.042, "4.2%"), (0.0994, "9.9%"), (0.0996, "10%"), (0.634, "63%"), (1.0, "100%")]
)
def test_a_share_below_a_tenth_has_a_digit_more(share: float, text: str) -> None:
    assert percent(share) == text
