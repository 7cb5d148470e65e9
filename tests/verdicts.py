"""Comparisons made by hand, and what the verdict says of them."""

import re
from typing import Any

import numpy as np
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import Sentence
from initbench.analysis.verdict.sentences import sentences


def study(
    means: dict[str, float], seeds: int, workloads: int = 1, noise: float = 0.01, seed: int = 0, **asked: Any
) -> Comparison:
    rng = np.random.default_rng(seed)
    rows = [
        record(init, number, mean + noise * rng.standard_normal(), model={"depth": depth}, hits=(None, None))
        for init, mean in means.items()
        for depth in range(workloads)
        for number in range(seeds)
    ]
    return Comparison(frame(*rows), **asked)


def said(comparison: Comparison) -> dict[str, Sentence]:
    found = sentences(comparison)
    assert all(re.match(r"\S.*[.:]$", sentence.text) for sentence in found)
    return {sentence.kind: sentence for sentence in found}
