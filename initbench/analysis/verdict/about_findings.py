"""What was found about initializers that share workloads and seeds, in sentences: the answer, then the details."""

import math
from collections.abc import Iterator, Sequence

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import MoreSeeds
from initbench.analysis.statistics.blocks import rounding
from initbench.analysis.statistics.survival import unseen
from initbench.analysis.verdict.about_more_seeds import about_more_seeds, seeds_that_would_tell
from initbench.analysis.verdict.about_rates import about_rates
from initbench.analysis.verdict.about_workloads import about_dependence, about_order, depends_on_workload
from initbench.analysis.verdict.sentence import Sentence, at_most, join
from initbench.wording import count, spelled

_MOST_LEADS = 3  # differences that are given


class AboutFindings:
    """The sentences about one set of initializers."""

    def __init__(self, findings: Findings, more: MoreSeeds | None, comparison: Comparison) -> None:
        self.found, self.more, self.metric = findings, more, comparison.metric
        self.margin, self.short_names = comparison.margin_text, comparison.short_names
        self.leader = findings.leader
        self.is_winner = findings.winner == findings.leader
        self.open = findings.open
        self.rivals = findings.rivals

    def all(self) -> Iterator[Sentence]:
        """All of them, in their order."""
        yield from about_dependence(self.found, self.short_names)
        first = self._first()
        yield first
        yield self._standing()
        if self.is_winner:
            yield from self._reservations()
        yield from (sentence for sentence in self._compared() if sentence != first)
        if self.open and self.found.can_tell:
            yield from self._too_few_for_pairs()
        if self.open:
            yield from about_more_seeds(self.found, self.more, self.metric, self.margin)
        yield from about_order(self.found, self.short_names)
        yield from about_rates(self.found)

    def _first(self) -> Sentence:
        found, leader = self.found, self.leader
        if self.is_winner:
            which = [leader, *found.ties]
            rival = str(self.rivals.index[0]) if len(self.rivals) == 1 else "every other initializer"
            they = "it" if len(which) == 1 else "they"
            use = "On average over the workloads, use" if depends_on_workload(self.found) else "Use"
            at_rates = "at the chosen learning rates, " if found.chosen_rates.tuned else ""
            text = f"{use} {join(which, 'or')}: {at_rates}{they} beat {rival}; "
            text += f"chance alone would do that in fewer than 1 of {self._studies} such studies."
            return Sentence("winner", text)
        if self.open and not found.can_tell:
            return self._apart() if found.apart or found.apart_above else self._too_few()
        if self.open and not self._is_against_reference:
            text = f"No difference was shown between {leader} and {join(self.open, 'or')}"
            return Sentence("open", f"{text}{seeds_that_would_tell(self.found, self.more, self.metric)}.")
        return next(self._compared())

    @property
    def _studies(self) -> int:
        return round(1 / self.found.level)

    def _apart(self) -> Sentence:
        rest = str(self.rivals.index[0]) if len(self.rivals) == 1 else "any other initializer"
        parts = [
            f"{word} than every run of {join(inits, 'or') if len(inits) < len(self.rivals) else rest}"
            for word, inits in (("better", self.found.apart), ("worse", self.found.apart_above))
            if inits
        ]
        text = f"Every run of {self.leader} is {' and '.join(parts)}"
        alike = f"between initializers that are alike, chance would do that in fewer than 1 of {self._studies} studies"
        return Sentence("apart", f"{text}; {alike}.")

    def _too_few(self) -> Sentence:
        what = count(self.found.seeds[1], "seed", words=True).capitalize()
        least, tests = spelled(self.found.least_seeds), self.found.comparisons
        whom = f" between {self.leader} and any of the {tests} others" if tests > 1 else ""
        text = f"{what} cannot show a significant difference{whom}; at least {least} are needed."
        return Sentence("few", text)

    def _too_few_for_pairs(self) -> Iterator[Sentence]:
        """Why large leads may be open: Holm's correction for all pairs takes more seeds than verifying a winner."""
        seeds, least = int(self.rivals["seeds"].max()), self.found.least_seeds_for_a_pair
        if self.found.reference is None and seeds < least:
            pairs = count(int(self.found.pairs["p"].notna().sum()), "pair")
            text = f"With {count(seeds, 'seed')}, only an initializer that beats every other can be shown to be better"
            yield Sentence("few", f"{text}; Holm's correction for {pairs} takes at least {spelled(least)} seeds.")

    def _standing(self) -> Sentence:
        """The means behind the first sentence, with the leads that matter."""
        found, metric = self.found, self.metric
        few, most = found.seeds
        seeds = count(most, "seed") if few == most else f"{few} to {most} seeds"
        is_whole = bool(found.scores.notna().all(axis=None))
        seeds += "" if is_whole else " that all share"
        where = f"{seeds} on each of {len(found.workloads)} workloads" if len(found.workloads) > 1 else seeds
        means = found.overall["mean"]
        is_best = means.max() - means[self.leader] <= rounding(means.max())
        what = f"the {metric.best} mean {metric.label}," if is_best else f"a mean {metric.label} of"
        text = f"{self.leader} has {what} {metric.text(float(means[self.leader]))} ({where})."
        if self.is_winner:
            text += f" {self._victory()}"
        elif self.open:
            leads = join([self._lead(init) for init in self.open[:_MOST_LEADS]])
            more = f" ({len(self.open) - _MOST_LEADS} more in the tables)" if len(self.open) > _MOST_LEADS else ""
            two = "the two" if len(self.open) == 1 else "each pair"
            over = "" if is_whole else f", over the seeds that {two} share"
            text += f" It is {leads}{over}{more}."
        return Sentence("standing", text)

    def _victory(self) -> str:
        nearest, least, metric = self.rivals.iloc[-1], self.found.least_lead, self.metric
        p = f"p {at_most(self.rivals['p'].max())}"
        if len(self.rivals) == 1:
            text = f"It leads {nearest.name} by {metric.difference(nearest['difference'])}"
            p_each, whom = p, ""
        else:
            text = f"Its smallest lead is {metric.difference(nearest['difference'])}, over {nearest.name}"
            p_each = f"{p} for each"
            whom = "it leads all the others " if self.found.ties else "it leads every other initializer "
        if least > 0:
            text += f"; with {100 * (1 - self.found.level):g}% confidence {whom}by {metric.bound(least)}"
        return f"{text} ({p_each})."

    def _reservations(self) -> Iterator[Sentence]:
        """What to keep in mind about a winner: small leads, and leads that may be due to skewness."""
        if self.found.equal:
            lead = f"Its lead over {join(self.found.equal)} is shown to be smaller than the margin"
            yield Sentence("small", f"{lead}, {self.margin}.")
        if self.found.doubtful:
            yield Sentence(
                "skew",
                "The bootstrap-t, which allows for skewed scores, does not confirm the lead over "
                f"{join(self.found.doubtful)}; more seeds may.",
            )

    def _lead(self, init: str) -> str:
        row, number = self.rivals.loc[init], self.metric.number
        interval = ""
        if self.found.can_tell and not math.isnan(row["low"]):
            # Student's interval may exclude 0 although the sign flips, which assume less, find nothing.
            assumed = (
                "not allowing for the choice of rates"
                if self.found.chosen_rates.rows
                else "if differences are normally distributed"
            )
            normal = f", {assumed}" if row["low"] > 0 or row["high"] < 0 else ""
            interval = f" (95% interval of the lead {number(row['low'], '+')} to {number(row['high'], '+')}{normal})"
        if row["difference"] == 0:
            return f"level with {init}{interval}"
        ahead = "ahead of" if row["difference"] > 0 else "behind"
        return f"{self.metric.difference(abs(row['difference']))} {ahead} {init}{interval}"

    @property
    def _is_against_reference(self) -> bool:
        return self.found.reference is not None and bool(self.found.better or self.found.worse)

    def _compared(self) -> Iterator[Sentence]:
        """Which initializers the leader is better than, worse than and equal to, unless it won against all of them."""
        found = self.found
        if self._is_against_reference and not self.is_winner:
            yield self._against_reference()
        elif not self.is_winner:
            for kind, inits in (("better", found.better), ("worse", found.worse)):
                if inits:
                    text = (
                        f"{self.leader} is {kind} than {join(inits)} by {self._span(inits)} ({self._corrected(inits)})."
                    )
                    yield Sentence(kind, text)
        if found.equal and not self.is_winner:
            yield from self._equal()
        if found.ties:
            yield Sentence("tie", f"{join([self.leader, *found.ties])} have the same score in every run.")

    def _against_reference(self) -> Sentence:
        found = self.found
        parts = [
            f"{word} than {join(inits)} (by {self._span(inits)})"
            for word, inits in (("better", found.better), ("worse", found.worse))
            if inits
        ]
        shown = f" No difference was shown between {found.leader} and {join(self.open, 'or')}." if self.open else ""
        text = f"{self.leader} is {' and '.join(parts)}: {self._corrected([*found.better, *found.worse])}.{shown}"
        return Sentence("reference", text)

    def _corrected(self, inits: Sequence[str]) -> str:
        """The level of the claims about these, and how it is corrected."""
        tests = len(self.rivals) if self.found.reference else int(self.found.pairs["p"].notna().sum())
        holm = f" after Holm's correction for {count(tests, 'pair')}" if tests > 1 else ""
        if self.found.reference and len(self.found.worse) == tests:
            holm = ""  # all of the tests had to succeed
        return f"p < {self.found.level:g}{' for each' if len(inits) > 1 else ''}{holm}"

    def _equal(self) -> Iterator[Sentence]:
        """Equality, and what it cannot know."""
        equal, few = self.found.as_good, int(self.rivals.loc[self.found.equal, "seeds"].min())
        every = [self.leader, *equal, *self.found.ties]
        several = len(self.found.workloads) > 1
        if slight := [init for init in self.found.equal if init not in equal]:
            text = (
                f"{self.leader}'s difference from {join(slight)} is shown to be smaller than the margin, {self.margin}."
            )
            yield Sentence("small", text)
        if not equal:
            return
        if self.found.interchangeable:
            will = "either will do" if len(every) == 2 else "any of them will do"
            where = "on each workload, " if several else ""
            text = f"{where}{join(every)} are equal to within {self.margin}: {will}"
        else:
            where = "on average over the workloads, " if several else ""
            one = len(equal) == 1
            text = f"{where}{join(equal)} {'is' if one else 'are each'} equal to {self.leader} to within {self.margin}"
        yield Sentence("equal", f"{text[0].upper() if where else text[0]}{text[1:]}.")
        share = math.ceil(100 * unseen(few))
        yield Sentence(
            "unseen",
            f"With {count(few, 'seed')}, an initializer that fails in up to {share}% of its runs may not have shown it "
            "(95% bound).",
        )

    def _span(self, inits: Sequence[str]) -> str:
        leads = self.rivals.loc[list(inits), "difference"].abs()
        low, high = self.metric.number(leads.min()), self.metric.difference(leads.max())
        return high if low == self.metric.number(leads.max()) else f"{low} to {high}"
