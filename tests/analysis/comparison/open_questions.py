"""Studies whose question is open, and what would settle it."""

from collections.abc import Iterable

import numpy as np
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.more_seeds import MoreSeeds

TYPED = "python -m initbench -m init=a,b,c model=mlp seed=0,1,2,3,4,5,6,7"


def study(
    command: str = TYPED,
    means: tuple[float, ...] = (0.9, 0.895, 0.5),
    seeds: Iterable[int] = range(8),
    margin: float | None = None,
    reference: str | None = None,
) -> Comparison:
    rng = np.random.default_rng(10)
    rows = [
        record(init, seed, mean + 0.008 * rng.standard_normal(), provenance={"command": command})
        for init, mean in zip("abc", means, strict=False)
        for seed in seeds
    ]
    return Comparison(frame(*rows), margin=margin, reference=reference)


def following(comparison: Comparison) -> MoreSeeds:
    found = comparison.more_seeds[0]
    assert found is not None
    return found
