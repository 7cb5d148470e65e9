"""What was found about initializers that share workloads and seeds, in sentences: for a reader who wants the answer
first, then for one who reviews it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.findings import Findings
from initbench.analysis.power import least_seeds
from initbench.analysis.settle import settle
from initbench.console import duration

_MOST_SEEDS = 1000  # that are told exactly
_MOST_PLACES = 6  # workloads that are named
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Sentence:
    """`kind` says what it is about, see docs/comparison.md. The error rate of those in CLAIMS is controlled."""

    kind: str
    text: str
    commands: tuple[str, ...] = ()  # to type, after the text

    def __str__(self) -> str:
        return "\n    ".join([self.text, *self.commands])


# In at most one study of twenty, those about scores make any false claim, and so do those about times.
CLAIMS = ("winner", "better", "worse", "reference", "equal", "small", "apart", "differs", "fastest", "change")


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
        if self.is_winner:
            yield from self._reservations()
        elif self.found.winner:
            yield Sentence("winner", f"{self.found.winner} beat every other initializer; {self._by_chance()}.")
        yield from (sentence for sentence in self._compared() if sentence != first)
        if self.open:
            yield from self._settle()
        yield from self._order()
        if self.found.at_chosen_rates:
            yield Sentence(
                "rates",
                "The learning rates were tuned first, and the scored seeds were run only at the chosen rates: the "
                "verdict holds at these rates.",
            )

    @property
    def _depends_on_workload(self) -> bool:
        return self.found.differs_between_workloads < self.found.level

    def _depends(self) -> Iterator[Sentence]:
        if self._depends_on_workload:
            p = p_value(self.found.differs_between_workloads)
            text = f"Which initializer is best depends on the workload (p = {p}): {self._best_by_workload()}."
            yield Sentence("differs", text)

    def _order(self) -> Iterator[Sentence]:
        if len(set(self.found.best_by_workload.values())) > 1 and not self._depends_on_workload:
            each = self._best_by_workload()
            yield Sentence("order", f"Which one is first differs between workloads, as chance alone would do: {each}.")

    def _best_by_workload(self) -> str:
        places = list(self.found.best_by_workload.items())
        more = [f"and {len(places) - _MOST_PLACES} more"] if len(places) > _MOST_PLACES else []
        return "; ".join([*(f"{init} on {name}" for name, init in places[:_MOST_PLACES]), *more])

    def _first(self) -> Sentence:
        found, leader = self.found, self.leader
        if self.is_winner:
            rival = str(self.rivals.index[0]) if len(self.rivals) == 1 else "every other initializer"
            return Sentence("winner", f"Use {leader}: it beat {rival}; {self._by_chance()}.")
        if self.open and not found.can_tell:
            return self._apart() if found.apart else self._too_few()
        if self.open and not self._is_against_reference:
            more = settle(found)
            settles = f"; {count(more.more, 'more seed')} would settle it" if more else ""
            return Sentence("open", f"No difference was shown between {leader} and {join(self.open, 'or')}{settles}.")
        return next(self._compared())

    def _by_chance(self) -> str:
        return f"chance alone would do that in fewer than 1 of {round(1 / self.found.level)} such studies"

    def _apart(self) -> Sentence:
        apart = self.found.apart
        which = join(apart) if len(apart) < len(self.rivals) or len(apart) == 1 else "any other initializer"
        text = f"Every run of {self.leader} is better than every run of {which}; {self._by_chance()}."
        return Sentence("apart", text)

    def _too_few(self) -> Sentence:
        least = least_seeds(len(self.found.workloads), self.found.level)
        what = count(self.found.seeds[1], "seed", words=True).capitalize()
        each = " on each workload" if len(self.found.workloads) > 1 else ""
        text = f"{what} cannot show a significant difference; at least {spelled(least)} are needed{each}."
        return Sentence("few", text)

    def _standing(self) -> Sentence:
        """The means behind the first sentence, with the leads that matter."""
        found, metric = self.found, self.metric
        few, most = found.seeds
        seeds = count(most, "seed") if few == most else f"{few} to {most} seeds"
        where = f"{seeds} on each of {len(found.workloads)} workloads" if len(found.workloads) > 1 else seeds
        means = found.overall["mean"]
        is_best = means.max() - means[self.leader] < 1e-10
        what = f"the {metric.best} mean {metric.label}," if is_best else f"a mean {metric.label} of"
        text = f"{self.leader} has {what} {metric.text(float(means[self.leader]))} ({where})."
        if self.is_winner:
            text += f" {self._victory()}"
        elif self.open:
            leads = [self._lead(init) for init in self.open[:3]]
            more = f" and {len(self.open) - 3} more" if len(self.open) > 3 else ""
            text += f" It is {', '.join(leads)}{more}."
        return Sentence("standing", text)

    def _victory(self) -> str:
        nearest, least, metric = self.rivals.iloc[-1], self.found.least_lead, self.metric
        p = f"p {at_most(self.rivals['p'].max())}"
        if len(self.rivals) == 1:
            text = f"It leads {nearest.name} by {metric.difference(nearest['difference'])}"
            p_each, whom = p, ""
        else:
            text = f"Its smallest lead is {metric.difference(nearest['difference'])}, over {nearest.name}"
            p_each, whom = f"{p} for each", "it leads every other initializer "
        if math.isfinite(least):
            shown = metric.difference(least)
            bound = f"at least {shown}" if float(metric.number(least)) else f"more than {metric.difference(0.0)}"
            text += f"; with {100 * (1 - self.found.level):g} % confidence {whom}by {bound}"
        return f"{text} ({p_each})."

    def _reservations(self) -> Iterator[Sentence]:
        """What weakens a victory."""
        if self.found.equal:
            lead = f"Its lead over {join(self.found.equal)} is shown to be smaller than the margin"
            yield Sentence("small", f"{lead}, {self._margin()}.")
        if self.found.doubtful:
            yield Sentence(
                "skew",
                "The bootstrap-t, which allows for skewed scores, does not confirm the lead over "
                f"{join(self.found.doubtful)}; more seeds would tell.",
            )

    def _lead(self, init: str) -> str:
        row, number = self.rivals.loc[init], self.metric.number
        is_ahead = row["difference"] >= 0
        low, high = (row["low"], row["high"]) if is_ahead else (-row["high"], -row["low"])
        interval = "" if math.isnan(low) else f" (95 % interval {number(low, '+')} to {number(high, '+')})"
        return (
            f"{self.metric.difference(abs(row['difference']))} {'ahead of' if is_ahead else 'behind'} {init}{interval}"
        )

    @property
    def _is_against_reference(self) -> bool:
        return self.found.reference is not None and bool(self.found.better or self.found.worse)

    def _compared(self) -> Iterator[Sentence]:
        """Better than these, worse than those, equal to others; of a winner that is said already."""
        found = self.found
        if self._is_against_reference and not self.is_winner:
            yield self._against_reference()
        elif not self.is_winner:
            for kind, inits in (("better", found.better), ("worse", found.worse)):
                if inits:
                    text = f"{self.leader} is {kind} than {join(inits)} by {self._span(inits)} ({self._corrected()})."
                    yield Sentence(kind, text)
        if found.equal and not self.is_winner:
            yield self._equal()
        if found.ties:
            yield Sentence("tie", f"{join([self.leader, *found.ties])} have the same score in every run.")

    def _against_reference(self) -> Sentence:
        found = self.found
        parts = [
            f"{word} than {join(inits)} (by {self._span(inits)})"
            for word, inits in (("better", found.better), ("worse", found.worse))
            if inits
        ]
        shown = f"; no difference was shown from {join(self.open, 'or')}" if self.open else ""
        return Sentence(
            "reference", f"{self.leader} is {' and '.join(parts)}{shown}. {self._corrected().capitalize()}."
        )

    def _corrected(self) -> str:
        tests = len(self.rivals) if self.found.reference else int(self.found.pairs["p"].notna().sum())
        return f"p < {self.found.level:g} for each, after Holm's correction for {count(tests, 'pair')}"

    def _equal(self) -> Sentence:
        every = [self.leader, *self.found.equal, *self.found.ties]
        will = "either will do" if len(every) == 2 else "any of them will do"
        where = "on average over the workloads, " if len(self.found.workloads) > 1 else ""
        text = f"{where}{join(every)} are equal to within {self._margin()}"
        return Sentence(
            "equal",
            f"{text[0].upper() if where else text[0]}{text[1:]}{'' if self._depends_on_workload else f': {will}'}.",
        )

    def _margin(self) -> str:
        assert self.points is not None
        return f"{self.points:g} {self.metric.points}".rstrip()

    def _span(self, inits: Sequence[str]) -> str:
        leads = self.rivals.loc[list(inits), "difference"].abs()
        low, high = self.metric.number(leads.min()), self.metric.difference(leads.max())
        return high if low == self.metric.number(leads.max()) else f"{low} to {high}"

    def _settle(self) -> Iterator[Sentence]:
        nearest = self.open[0]
        seen = abs(float(self.rivals.at[nearest, "difference"]))
        parts = []
        if (seeds := self.found.seeds_for(nearest, seen)) is not None:
            like = f"that from {nearest} ({self.metric.difference(seen)})"
            parts.append(f"{_many(seeds)} seeds to show a difference as large as {like}")
        if self.found.margin is not None and (seeds := self.found.seeds_for(nearest, self.found.margin)) is not None:
            what = "one as large" if parts else "a difference as large"
            parts.append(f"{_many(seeds)} seeds to show {what} as the margin ({self._margin()})")
        if parts:
            yield Sentence("power", f"With a power of 80 %, it takes {' and '.join(parts)}.")
        if more := settle(self.found):
            took = "" if more.seconds is None else f", about {duration(more.seconds)} on this machine"
            runs = f"{count(more.runs, 'more run')}{took}"
            if more.commands:
                yield Sentence("settle", f"To reach {more.seeds} seeds ({runs}), type:", more.commands)
            else:
                inits = join([self.leader, *self.open])
                yield Sentence("settle", f"To reach {more.seeds} seeds of {inits} takes {runs}.")


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
