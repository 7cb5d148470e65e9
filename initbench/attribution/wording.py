"""What an attribution shows, in sentences."""

import math
from collections.abc import Iterator

import pandas as pd

from initbench.analysis.verdict.sentence import Sentence, at_most, join, p_value
from initbench.attribution.effects import Effects
from initbench.attribution.smallest import KEPT, Smallest
from initbench.attribution.study import Runs
from initbench.metric import Metric
from initbench.report.content.table import interval
from initbench.wording import count, spelled

# Kinds of sentences that claim something. In at most one study of twenty some claim is false
# (docs/how_to/attribution.md).
CLAIMS = ("whole", "parts", "interaction")


class Wording:
    """The sentences about the effects of parts. a, b: what the two initializers are called."""

    def __init__(self, effects: Effects, runs: Runs, small: Smallest | None, a: str, b: str) -> None:
        self.effects, self.runs, self.small, self.a, self.b = effects, runs, small, a, b
        self.metric: Metric = runs.metric
        self.table = effects.table
        self.whole = self.table.iloc[0]

    def all(self) -> Iterator[Sentence]:
        """All of them, in their order."""
        yield self._whole()
        if self.effects.can_tell:
            yield from self._parts()
            yield from self._interactions()
        if self.whole["is_shown"]:
            yield from self._smallest()
            yield from self._unexplained()
        yield from self._left()

    def _whole(self) -> Sentence:
        effects, metric, seeds = self.effects, self.metric, count(self.effects.seeds, "seed")
        means = [metric.text(float(effects.of_arm(parts).mean())) for parts in (effects.design.parts, ())]
        what = f"{self.a} with these parts of {self.b}" if self.runs.left_to_a else self.b
        if not effects.can_tell:
            least = spelled(effects.least_seeds)
            text = (
                f"{count(effects.seeds, 'seed', words=True).capitalize()} cannot show which part makes a difference; "
            )
            return Sentence(
                "few",
                f"{text}{spelled(effects.tests)} tests take at least {least} seeds.",
                (f"'seed=range({effects.least_seeds})'",),
            )
        if not self.whole["is_shown"]:
            text = f"No difference between {self.a} and {what} was shown"
            return Sentence("open", f"{text}: a mean {metric.label} of {means[1]} and {means[0]} ({seeds}).")
        text = f"{what} is {self._word(self.whole['gain'])} than {self.a} by "
        text += f"{self._size(self.whole['gain'])}: a mean {metric.label} of {means[0]} instead of {means[1]} "
        return Sentence("whole", f"{text}({seeds}; p {at_most(self.whole['p_holm'])}, {self._corrected}).")

    @property
    def _corrected(self) -> str:
        return f"after Holm's correction for {self.effects.tests} tests"

    def _parts(self) -> Iterator[Sentence]:
        mains = self.table[self.table["parts"] == 1]
        shown = mains[mains["is_shown"]]
        shown = shown.loc[shown["gain"].abs().sort_values(ascending=False, kind="stable").index]
        if len(shown):
            each = " and ".join(
                f"{word} for {join([f'{row.effect} ({self._size(row.gain)})' for row in found.itertuples()], most=10)}"
                for word, found in (("better", shown[shown["gain"] > 0]), ("worse", shown[shown["gain"] < 0]))
                if len(found)
            )
            p = f"p < {self.effects.level:g}{' for each' * (len(shown) > 1)}, {self._corrected}"
            text = f"On average over the other parts, {self.b} in place of {self.a} is {each}"
            yield Sentence("parts", f"{text} ({p}).")
        if rest := list(mains.loc[~mains["is_shown"], "effect"]):
            yield Sentence("no_effect", f"No effect of {join(rest, 'or', most=10)} was shown.")

    def _interactions(self) -> Iterator[Sentence]:
        pairs = self.table[(self.table["parts"] == 2) & self.table["is_shown"]]
        for _, row in pairs.loc[pairs["gain"].abs().sort_values(ascending=False, kind="stable").index].iterrows():
            more = "more" if row["gain"] > 0 else "less"
            which = join([row["effect"], *row["others"]], "or")
            text = f"{which}: together they gain {self._size(row['gain'])} {more} than the sum of what each gains alone"
            apart = "; this design cannot tell these pairs apart" if row["others"] else ""
            yield Sentence("interaction", f"{text} (p {at_most(row['p_holm'])}, {self._corrected}{apart}).")

    def _smallest(self) -> Iterator[Sentence]:
        small, parts = self.small, len(self.effects.design.parts)
        if small is None:
            return
        if len(small.parts) == parts:
            yield Sentence("smallest", f"No smaller set of parts is estimated to keep {KEPT:.0%} of the difference.")
            return
        drawn = f"Drawn by {self.b}, with everything else by {self.a}, {join(small.parts, most=10)} "
        known = not math.isnan(small.low)
        interval = f"95% interval {small.low:.0%} to {small.high:.0%}" if known else "its 95% interval is unbounded"
        text = (
            f"{drawn}alone ({len(small.parts)} of {parts} parts) would keep about {small.share:.0%} of the difference, "
        )
        text += f"as estimated on each seed by the set that the other seeds choose ({interval})."
        if small.low > 1:
            text += " The other parts seem to take some of that back."
        if small.agreement < 1:
            others = round((1 - small.agreement) * self.effects.seeds)
            text += f" Without one of the seeds, another set is chosen in {others} of {self.effects.seeds} cases."
        yield Sentence("smallest", text)

    def _unexplained(self) -> Iterator[Sentence]:
        rest, p = self.effects.unexplained
        if p < self.effects.level:
            mains = self.table.loc[self.table["parts"] == 1, "gain"].sum()
            text = (
                f"The effects of single parts add up to {self._signed(mains)} and not to {self._signed(rest + mains)}"
            )
            text += f" (p {at_most(p)}): three or more parts may interact, which the estimate above does not allow for."
            yield Sentence("higher", text)

    def _left(self) -> Iterator[Sentence]:
        if number := self.runs.left_to_a:
            which = "another part, which" if number == 1 else f"{spelled(number)} other parts, which"
            yield Sentence("left", f"{self.a} and {self.b} also differ in {which} {self.a} draws in every arm.")
        if self.runs.without:
            each = [f"{number} {why}" for why, number in self.runs.without.items()]
            text = f"Some runs have no score ({join(each)})"
            if seeds := self.effects.left_out:
                text += (
                    f", so seed {seeds[0]} is left out" if len(seeds) == 1 else f", so seeds {join(seeds)} are left out"
                )
            yield Sentence("missing", f"{text}.")

    def _word(self, gain: float) -> str:
        return "better" if gain > 0 else "worse"

    def _size(self, gain: float) -> str:
        return self.metric.difference(abs(gain))

    def _signed(self, gain: float) -> str:
        return f"{self.metric.number(gain, '+')} {self.metric.points}".rstrip()


def rows(table: pd.DataFrame, metric: Metric) -> list[list[str]]:
    """The cells of the table of effects: effect, gain, interval, p."""
    return [
        [
            " = ".join([row["effect"], *row["others"]]),
            metric.number(row["gain"], "+"),
            interval(row["low"], row["high"], metric, "+"),
            p_value(row["p_holm"]),
        ]
        for _, row in table.iterrows()
    ]
