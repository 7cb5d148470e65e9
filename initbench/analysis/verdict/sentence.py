"""A sentence of the verdict, and how sentences write numbers and lists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

# Kinds that claim something. Claims about differences in scores, claims of equality and claims about times: each of the
# three groups is false in at most one study of twenty, see docs/explanation/comparison.md.
CLAIMS = ("winner", "better", "worse", "reference", "equal", "small", "apart", "differs", "fastest", "change")


@dataclass(frozen=True)
class Sentence:
    """A sentence of the verdict; for the kinds see docs/explanation/comparison.md."""

    kind: str
    text: str
    commands: tuple[str, ...] = ()  # to type, after the text

    def __str__(self) -> str:
        return "\n    ".join([self.text, *self.commands])


def p_value(value: float) -> str:
    """A p value with two digits, and never 0."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def at_most(p: float) -> str:
    """An upper bound of a p value, rounded up so that it stays true."""
    return "< 0.001" if p < 0.001 else f"≤ {math.ceil(1000 * p) / 1000:g}"


def join(items: Sequence[object] | pd.Index, word: str = "and", most: int = 8) -> str:
    """ "a, b and c"; beyond `most` items, "a, b and 7 more"."""
    names = [str(item) for item in items]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
