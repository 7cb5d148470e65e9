"""How learning rates were chosen, and what that means for the verdict, in sentences."""

from collections.abc import Iterator

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.sentence import Sentence, join


def about_rates(found: Findings) -> Iterator[Sentence]:
    """Sentences about the choice of learning rates; none if no rate was chosen."""
    chosen = found.chosen_rates
    if chosen.rows:
        yield Sentence(
            "rates",
            "The learning rates were chosen from these runs. The p values allow for that; the intervals, the "
            "smallest lead and equality do not.",
        )
    if chosen.tuned:
        others = [init for init in map(str, found.scores) if init not in chosen.tuned]
        which = f" of {join(chosen.tuned)}" if others else ""
        unfair = f" {join(others)} did not have theirs tuned, so the comparison favours the tuned." if others else ""
        yield Sentence(
            "rates",
            f"The learning rates{which} were tuned first, and the scored seeds were run only at the chosen rates: "
            f"the verdict holds at these rates.{unfair}",
        )
    if chosen.unmatched:
        yield Sentence(
            "rates",
            f"The learning rates of {join(chosen.unmatched)} were chosen from these runs. The p values do not allow "
            "for that, because the others were not run at the same rates.",
        )
