"""How many more seeds would probably answer the open questions, in sentences."""

from collections.abc import Iterator

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import MoreSeeds, seeds_for
from initbench.analysis.verdict.sentence import Sentence, join
from initbench.metric import Metric
from initbench.wording import about, count

_MOST_SEEDS = 1000  # that are told exactly


def seeds_that_would_tell(found: Findings, more: MoreSeeds | None, metric: Metric) -> str:
    """The end of the sentence that says what is open; empty if nothing says how many seeds it takes."""
    if more is None:
        return ""
    seeds = count(more.more, "more seed")
    whom = "" if set(more.inits) == set(found.open) else f" from {join(more.inits, 'or')}"
    if more.difference is None:
        or_margin = ", or as the margin where it is larger" if more.is_margin else ""
        return f"; {seeds} would probably show differences{whom} as large as these{or_margin}"
    return f"; {seeds} would probably show a difference{whom} of {metric.difference(more.difference)}, if there is one"


def about_more_seeds(found: Findings, more: MoreSeeds | None, metric: Metric, margin: str) -> Iterator[Sentence]:
    """How many seeds it takes to show the difference seen, and the margin; then the runs and the commands to type."""
    nearest = found.open[0]
    seen = abs(float(found.rivals.at[nearest, "difference"]))
    parts = []
    if (seeds := seeds_for(found, nearest, seen)) is not None:
        like = f"that from {nearest} ({metric.difference(seen)})"
        parts.append(f"{_many(seeds)} seeds to show a difference as large as {like}")
    if found.margin is not None and (seeds := seeds_for(found, nearest, found.margin)) is not None:
        what = "one as large" if parts else "a difference as large"
        parts.append(f"{_many(seeds)} seeds to show {what} as the margin ({margin})")
    if parts:
        yield Sentence("power", f"With a power of 80%, it takes {' and '.join(parts)}.")
    if more is not None:
        took = "" if more.seconds is None else f" ({about(more.seconds)} on the same machine)"
        is_every = len(more.inits) == len(found.open) > 1
        at_once = " (enough for every open comparison at once)" if is_every else ""
        whom = "every initializer" if len(more.swept) == found.scores.shape[1] > 2 else join(more.swept)
        needed = f"{count(more.runs, 'more run')} {'is' if more.runs == 1 else 'are'} needed{took}"
        text = f"For {count(more.seeds, 'seed')} of {whom}{at_once}, {needed}."
        if found.next_level < found.level:
            level = f"{100 * found.next_level:g}%"
            looks = (
                f"With them the study is looked at again, at a level of {level}; new seeds alone, in a study of their "
                "own, are judged at 5%."
            )
        else:
            looks = (
                "A second look with more seeds raises the error rate above 5%; to keep it, judge by new seeds alone, "
                "in a study of their own."
            )
        yield Sentence("settle", f"{text} {looks}{' To run them:' if more.commands else ''}", more.commands)


def _many(seeds: int) -> str:
    return str(seeds) if seeds <= _MOST_SEEDS else f"more than {_MOST_SEEDS:,}"
