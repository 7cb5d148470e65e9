"""What each part contributes: contrasts of the arms of a design, seed by seed, and tests over seeds.

All arms of a seed have the same order of the data, and a part that is drawn by the same initializer has the same
weights in all of them. A seed is one observation, as in `analysis.statistics.pairs`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from initbench.analysis.comparison.evidence import LEVEL
from initbench.analysis.statistics.blocks import Array, rounding
from initbench.analysis.statistics.pairs import holm
from initbench.analysis.statistics.sign_flips import seeds_for_flips, sign_flip
from initbench.analysis.statistics.student import simultaneous
from initbench.attribution.design import Design, Effect

WHOLE = "all parts"


@dataclass(frozen=True)
class Effects:
    """The effects that a design tells apart.

    scores: higher is better; a row for each seed, a column for each of `design.arms`, in their order, NaN where a run
    has no score. level: the error rate of all claims together.

    Raises ValueError if no seed has a score in every arm.
    """

    design: Design
    scores: pd.DataFrame
    level: float = LEVEL

    def __post_init__(self) -> None:
        if self.complete.empty:
            raise ValueError("no seed has a score in every arm, so there is nothing to attribute")

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The scores of the seeds that have all arms."""
        return self.scores.dropna()

    @property
    def seeds(self) -> int:
        return len(self.complete)

    @property
    def left_out(self) -> list[object]:
        """The seeds without a score in some arm."""
        return [seed for seed in self.scores.index if seed not in self.complete.index]

    @cached_property
    def whole(self) -> Array:
        """(seeds,): by how much b alone is better than a alone."""
        return self._rounded((self.of_arm(self.design.parts) - self.of_arm(()))[:, None])[:, 0]

    def of_arm(self, parts: tuple[str, ...]) -> Array:
        """(seeds,): the scores of the arm in which b draws these parts."""
        return self.complete.iloc[:, self.design.arms.index(parts)].to_numpy()

    @cached_property
    def gains(self) -> Array:
        """(seeds, groups of effects), as `design.groups`.

        For a part, it is by how much the score is higher if b draws it, on average over the other parts; for two, by
        how much they gain together, beyond the sum of what each gains while the other is a's.
        """
        fraction = self.complete.to_numpy()[:, : len(self.design.levels)]
        effects = [group[0] for group in self.design.groups]
        columns = np.column_stack([self.design.column(effect) for effect in effects])
        factors = np.array([2.0 * len(effect) for effect in effects]) / fraction.shape[1]
        return self._rounded(fraction @ columns * factors)

    def _rounded(self, differences: Array) -> Array:
        """The same with 0 where scores that are equal on paper differ in their last bits."""
        largest = np.abs(self.complete.to_numpy()).max()
        return np.where(np.abs(differences) <= rounding(largest), 0.0, differences)

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for the whole difference and one for each group of effects, in the order of the design.

        Columns: effect (its name), parts (how many it has; 0 for the whole), others (the names of what cannot be told
        apart from it), gain (the mean over seeds), low and high (95% intervals by Student's t, that
        hold for all rows at once), p (sign flips), p_holm (corrected over all rows), is_shown (p_holm is below the
        level).
        """
        values = np.column_stack([self.whole, self.gains])
        low, high = simultaneous(values, values.shape[1])
        p = sign_flip(values)
        rows = [(WHOLE, 0, []), *map(self._named, self.design.groups)]
        table = pd.DataFrame(rows, columns=["effect", "parts", "others"])
        table = table.assign(gain=values.mean(axis=0), low=low, high=high, p=p, p_holm=holm(p))
        return table.assign(is_shown=table["p_holm"] < self.level)

    def _named(self, group: tuple[Effect, ...]) -> tuple[str, int, list[str]]:
        first, *others = map(self.design.label, group)
        return first, len(group[0]), others

    @property
    def tests(self) -> int:
        """The number of tests that are corrected for."""
        return 1 + len(self.design.groups)

    @property
    def least_seeds(self) -> int:
        """The fewest seeds with which anything can be shown."""
        return seeds_for_flips(self.tests, self.level)

    @property
    def can_tell(self) -> bool:
        return self.seeds >= self.least_seeds

    @cached_property
    def unexplained(self) -> tuple[float, float]:
        """How much of the whole difference is not the sum of the effects of parts, and p that this is nothing.

        The sum of main effects is the whole difference unless three or more parts interact.
        """
        mains = [len(group[0]) == 1 for group in self.design.groups]
        rest = self._rounded((self.whole - self.gains[:, mains].sum(axis=1))[:, None])
        return float(rest.mean()), float(sign_flip(rest)[0])
