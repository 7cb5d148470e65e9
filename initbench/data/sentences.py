"""A text that is made, not read: sums, numbers in words, and dates, one to a line, drawn independently.

As each line is a uniform choice among known ones, so is the entropy of the text: no model can lose less per character.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

import torch

from initbench.data.windows import Tokens
from initbench.schema.ranges import PositiveInt

_SEED = 0  # part of the definition of the data, not of a run
_FIRST_DAY, _DAYS = date(2000, 1, 1), 36_525  # a century
_BELOW_TWENTY = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip  # several values to a line
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip  # several values to a line
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def text_mini(size: PositiveInt = 200_000, context_length: PositiveInt = 64) -> Tokens:
    """`size` characters to train on and a tenth as many for testing, such as:

    17+85=102
    4096 is four thousand ninety-six
    2024-02-29 is Thursday 29 February 2024
    """
    lines = _lines()
    generator = torch.Generator().manual_seed(_SEED)
    text: list[str] = []
    length = 0
    while length < size + size // 10 + 1:
        kinds = torch.randint(len(lines), (1000,), generator=generator).tolist()
        for kind in kinds:
            line = lines[kind][int(torch.randint(len(lines[kind]), (), generator=generator))]
            text.append(line)
            length += len(line)
    characters = sorted(set("".join(map("".join, lines))))
    number_of = {character: number for number, character in enumerate(characters)}
    ids = torch.tensor([number_of[character] for character in "".join(text)], dtype=torch.uint8)
    test = ids[size : size + size // 10 + 1]
    return Tokens(ids[:size], test, len(characters), context_length, entropy())


@cache
def entropy() -> float:
    """Nats per character: the entropy of a line divided by its mean length."""
    lines = _lines()
    of_a_line = math.log(len(lines)) + sum(math.log(len(kind)) for kind in lines) / len(lines)
    return of_a_line / (sum(sum(map(len, kind)) / len(kind) for kind in lines) / len(lines))


@cache
def _lines() -> Sequence[Sequence[str]]:
    """All lines of each kind; no two are the same."""
    days = [_FIRST_DAY + timedelta(number) for number in range(_DAYS)]
    return (
        [f"{a}+{b}={a + b}\n" for a in range(100) for b in range(100)],
        [f"{number} is {words(number)}\n" for number in range(10_000)],
        [f"{day} is {_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}\n" for day in days],
    )


def words(number: int) -> str:
    """A number below 10,000 in English words."""
    if number < 20:
        return _BELOW_TWENTY[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_BELOW_TWENTY[ones]}" if ones else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    high, low = divmod(number, size)
    return f"{_BELOW_TWENTY[high]} {name}" + (f" {words(low)}" if low else "")
