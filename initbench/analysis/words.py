"""What was found about initializers that share workloads and seeds, in sentences: for a reader who wants the answer
first, then for one who reviews it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.findings import LEVEL, Findings
from initbench.analysis.power import least_seeds
from initbench.analysis.settle import settle
from initbench.console import duration

_MOST_SEEDS = 1000  # that are told exactly
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Sentence:
    """`kind` says what it is about: docs/comparison.md has the list. Those in CLAIMS hold an error rate."""

    kind: str
    text: str
    commands: tuple[str, ...] = ()  # to type, after the text

    def __str__(self) -> str:
        return "\n    ".join([self.text, *self.commands])


# Each is wrong in at most one study of twenty, for those about scores together and those about times together.
CLAIMS = ("winner", "better", "worse", "equal", "small", "apart", "differs", "fastest", "change")


class Words:
    """The sentences about one set of initializers."""

    def __init__(self, findings: Findings, comparison: Comparison) -> None:
        self.found, self.metric = findings, comparison.metric
        self.points = comparison.points
        self.leader = findings.leader
        self.is_winner = findings.winner == findings.leader
        self.open = findings.open
        self.rivals = findings.rivals

    def all(self) -> Iterator[Sentence]:
        yield from self._depends()
        first = self._first()
        yield first
        yield self._standing()
        if self.found.winner and not self.is_winner:
            yield Sentence("winner", f"{self.found.winner} beat every other initializer; {self._by_chance()}.")
        if self.is_winner:
            yield from self._reservations()
        else:
            yield from (sentence for sentence in self._compared() if sentence != first)
        if self.open:
            yield from self._settle()
        yield from self._order()
        if self.found.at_chosen_rates:
            yield Sentence(
                "rates",
                "The learning rates were chosen first, and only these were run for the seeds that are scored: what is "
                "said holds at these rates.",
            )

    def _depends(self) -> Iterator[Sentence]:
        if self.found.differs_between_workloads < self.found.level:
            each = "; ".join(f"{init} on {name}" for name, init in self.found.first_by_workload.items())
            p = p_value(self.found.differs_between_workloads)
            yield Sentence("differs", f"It depends on the workload which initializer is best (p = {p}): {each}.")

    def _order(self) -> Iterator[Sentence]:
        first = self.found.first_by_workload
        if len(set(first.values())) > 1 and not self.found.differs_between_workloads < self.found.level:
            each = "; ".join(f"{init} on {name}" for name, init in list(first.items())[:6])
            yield Sentence("order", f"Which one is first differs between workloads, as chance alone would do: {each}.")

    def _first(self) -> Sentence:
        found, leader = self.found, self.leader
        if self.is_winner:
            rival = str(self.rivals.index[0]) if len(self.rivals) == 1 else "every other initializer"
            return Sentence("winner", f"Use {leader}: it beat {rival}; {self._by_chance()}.")
        if self.open and not found.can_tell:
            return self._apart() if found.apart else self._too_few()
        if found.reference is not None and (found.better or found.worse):
            return next(self._compared())
        if self.open:
            more = settle(found)
            settles = f"; {count(more.more, 'more seed')} would settle it" if more else ""
            return Sentence("open", f"No difference was shown between {leader} and {join(self.open, 'or')}{settles}.")
        if found.equal:
            return self._equal()
        return self._tie() if found.ties else next(self._compared())

    def _by_chance(self) -> str:
        return f"chance alone would do that in fewer than 1 of {round(1 / self.found.level)} such studies"

    def _apart(self) -> Sentence:
        apart = self.found.apart
        which = join(apart) if len(apart) < len(self.rivals) or len(apart) == 1 else "every other initializer"
        text = f"Every run of {self.leader} is better than every run of {which}; {self._by_chance()}."
        return Sentence("apart", text)

    def _too_few(self) -> Sentence:
        least = least_seeds(len(self.found.workloads), self.found.level)
        what = count(self.found.seeds[1], "seed", words=True).capitalize()
        each = " of each workload" if len(self.found.workloads) > 1 else ""
        return Sentence("few", f"{what} cannot show a difference; at least {spelled(least)}{each} are needed.")

    def _equal(self) -> Sentence:
        every = [self.leader, *self.found.equal, *self.found.ties]
        will = "either will do" if len(every) == 2 else "any of them will do"
        return Sentence("equal", f"{join(every)} are equal to within {self._margin()}: {will}.")

    def _tie(self) -> Sentence:
        return Sentence("tie", f"{join([self.leader, *self.found.ties])} have the same score in every run.")

    def _margin(self) -> str:
        assert self.points is not None
        return f"{self.points:g} {self.metric.points}".rstrip()

    def _standing(self) -> Sentence:
        """The means behind the first sentence, with the leads that matter."""
        found, metric = self.found, self.metric
        few, most = found.seeds
        seeds = count(most, "seed") if few == most else f"{few} to {most} seeds"
        where = f"{seeds} on each of {len(found.workloads)} workloads" if len(found.workloads) > 1 else seeds
        means = found.overall["mean"]
        is_first = means.max() - means[self.leader] < 1e-10
        what = f"the {metric.best} mean {metric.label}," if is_first else f"a mean {metric.label} of"
        text = f"{self.leader} has {what} {metric.text(float(means[self.leader]))} ({where})."
        if self.is_winner:
            text += f" It leads {self._victory()} (p {at_most(self.rivals['p'].max())})."
        elif self.open:
            leads = [self._lead(init) for init in self.open[:3]]
            more = f" and {len(self.open) - 3} more" if len(self.open) > 3 else ""
            text += f" It leads {', '.join(leads)}{more}."
        return Sentence("standing", text)

    def _victory(self) -> str:
        nearest, least = self.rivals.iloc[-1], self.found.least_lead
        by = self.metric.difference(nearest["difference"])
        bound = f"at least {self.metric.difference(least)} with 95 % confidence" if math.isfinite(least) else ""
        if len(self.rivals) == 1:
            return f"{nearest.name} by {by}" + (f", {bound}" if bound else "")
        return f"the next, {nearest.name}, by {by}" + (f", and every other by {bound}" if bound else "")

    def _reservations(self) -> Iterator[Sentence]:
        """What weakens a victory."""
        if self.found.equal:
            yield Sentence("small", f"Its lead over {join(self.found.equal)} is smaller than {self._margin()}.")
        if self.found.doubtful:
            yield Sentence(
                "skew",
                "A test that allows for runs which are skewed differently (bootstrap-t) does not confirm the lead over "
                f"{join(self.found.doubtful)}: more seeds would tell.",
            )

    def _lead(self, init: str) -> str:
        row, number = self.rivals.loc[init], self.metric.number
        known = not math.isnan(row["low"])
        interval = f" (95 % interval {number(row['low'], '+')} to {number(row['high'], '+')})" if known else ""
        return f"{init} by {self.metric.difference(row['difference'])}{interval}"

    def _compared(self) -> Iterator[Sentence]:
        """Better than these, worse than those, equal to others; what is left open is said elsewhere."""
        found = self.found
        tests = int(found.pairs["p"].notna().sum()) if found.reference is None else len(self.rivals)
        corrected = f"p < {LEVEL:g} for each, corrected after Holm over {count(tests, 'comparison')}"
        for kind, inits, word in (("better", found.better, "better"), ("worse", found.worse, "worse")):
            if inits:
                yield Sentence(
                    kind, f"{self.leader} is {word} than {join(inits)} by {self._span(inits)} ({corrected})."
                )
        if found.equal:
            yield self._equal()
        if found.ties:
            yield self._tie()
        if self.open and found.reference is not None and (found.better or found.worse):
            yield Sentence("open", f"No difference was shown between {self.leader} and {join(self.open, 'or')}.")

    def _span(self, inits: Sequence[str]) -> str:
        leads = self.rivals.loc[list(inits), "difference"].abs()
        low, high = self.metric.number(leads.min()), self.metric.difference(leads.max())
        return high if low == self.metric.number(leads.max()) else f"{low} to {high}"

    def _settle(self) -> Iterator[Sentence]:
        nearest = self.open[0]
        seen = abs(float(self.rivals.at[nearest, "difference"]))
        parts = []
        if (seeds := self.found.seeds_for(nearest, seen)) is not None:
            like = f"a difference like that from {nearest} ({self.metric.difference(seen)})"
            parts.append(f"{_many(seeds)} seeds to show {like}")
        if self.found.margin is not None and (seeds := self.found.seeds_for(nearest, self.found.margin)) is not None:
            parts.append(f"{_many(seeds)} to show one of {self._margin()}, the smallest worth having (report.margin)")
        if parts:
            yield Sentence("power", f"It takes {', and '.join(parts)}, with a power of 80 %.")
        if more := settle(self.found):
            took = "" if more.seconds is None else f", about {duration(more.seconds)} on this machine"
            what = f"{count(more.runs, 'run')} more{took}"
            if more.commands:
                yield Sentence("settle", f"For {more.seeds} seeds ({what}) type:", more.commands)
            else:
                yield Sentence("settle", f"{more.seeds} seeds of {join([self.leader, *self.open])} are {what}.")


def p_value(value: float) -> str:
    return f"{value:.2g}"


def at_most(p: float) -> str:
    """Rounded up, so that it stays true."""
    return "< 0.001" if p < 0.001 else f"≤ {math.ceil(1000 * p) / 1000:g}"


def _many(seeds: int) -> str:
    return str(seeds) if seeds <= _MOST_SEEDS else f"more than {_MOST_SEEDS:,}"


def spelled(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def join(items: Sequence[object] | pd.Index, word: str = "and", most: int = 8) -> str:
    names = [str(item) for item in items]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def count(number: int, noun: str, words: bool = False) -> str:
    return f"{spelled(number) if words else number} {noun}{'s' if number != 1 else ''}"
