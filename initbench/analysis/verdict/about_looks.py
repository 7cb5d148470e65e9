"""What it means that a study had been looked at before, in a sentence."""

from collections.abc import Iterator

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.evidence import LEVEL
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.record.plans import Plan
from initbench.wording import count


def about_looks(comparison: Comparison) -> Iterator[Sentence]:
    """At which level a study is judged that had been looked at before; nothing for one that is as it was planned."""
    if comparison.looks and (comparison.findings or comparison.races):
        seen = join(list(dict.fromkeys(map(_results, comparison.looks))))
        first = comparison.plans[-1].race.level if comparison.plans[-1].race else LEVEL
        level = first / 2 ** len(comparison.looks)
        yield Sentence(
            "looks",
            f"The results of {seen} had been seen before, so this verdict uses a level of {100 * level:g}% instead of "
            f"{100 * first:g}%.",
        )


def _results(plan: Plan) -> str:
    return "a race" if plan.race else count(len(plan.seeds), "seed")
