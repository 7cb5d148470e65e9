"""What it means that seeds were added to a study whose results had been seen, in a sentence."""

from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.evidence import LEVEL
from initbench.analysis.verdict.sentence import Sentence, join


def about_looks(comparison: Comparison) -> Iterator[Sentence]:
    """At which level a study is judged that had been looked at before; nothing for one that is as it was planned."""
    if comparison.looks and comparison.findings:
        seeds = join([*dict.fromkeys(comparison.looks)])
        text = (
            f"Seeds were added after results had been seen (of {seeds} seeds). Each further look has half the level of"
        )
        yield Sentence(
            "looks",
            f"{text} the one before: this one has {100 * comparison.level:g}%, the first one had {100 * LEVEL:g}%.",
        )
