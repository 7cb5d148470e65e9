"""A sentence of the verdict, and how sentences write numbers and lists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# Kinds that claim something. In at most one study of twenty any of those about scores is false (equality apart), and
# likewise any claim of equality, and any about times: see docs/comparison.md.
CLAIMS = ("winner", "better", "worse", "reference", "equal", "small", "apart", "differs", "fastest", "change")


@dataclass(frozen=True)
class Sentence:
    """`kind` says what it is about, see docs/comparison.md."""

    kind: str
    text: str
    commands: tuple[str, ...] = ()  # to type, after the text

    def __str__(self) -> str:
        return "\n    ".join([self.text, *self.commands])


def p_value(value: float) -> str:
    """Two digits, and never 0."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def at_most(p: float) -> str:
    """Rounded up, so that it stays true."""
    return "< 0.001" if p < 0.001 else f"≤ {math.ceil(1000 * p) / 1000:g}"


def spelled(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def join(items: Sequence[object] | pd.Index, word: str = "and", most: int = 8) -> str:
    names = [str(item) for item in items]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def count(number: int, noun: str, words: bool = False) -> str:
    return f"{spelled(number) if words else number} {noun}{'s' if number != 1 else ''}"
