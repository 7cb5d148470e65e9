"""What is said of the times to a target."""

from frames import frame, record
from verdicts import said

from initbench.analysis.comparison.comparison import Comparison


def timed(hits: dict[str, list[int | None]]) -> Comparison:
    return Comparison(
        frame(*(record(init, seed, 0.8, hits=(hit, None)) for init, of in hits.items() for seed, hit in enumerate(of)))
    )


def test_who_is_the_fastest_is_between_two_evaluations() -> None:
    seeds = range(8)
    found = said(timed({"fast": [20 + 10 * (s % 2) for s in seeds], "slow": [60 + 10 * (s % 3) for s in seeds]}))
    assert found["fastest"].text == (
        "Fastest to 50% validation accuracy: fast (median between 10 and 20 steps), faster than slow (log-rank "
        "p < 0.001, corrected for targets and workloads)."
    )
    alike = said(timed({"fast": [20, 30, 40, 50], "slow": [20, 40, 40, 50]}))
    assert alike["times"].text.endswith(
        "fast (median between 20 and 30 steps), but not significantly faster than slow."
    )


def test_a_target_that_few_reach() -> None:
    found = said(timed({"lucky": [20, None, None, None], "none": [None] * 4}))
    assert (
        "lucky (fewer than half of its runs reached it), but not significantly faster than none." in found["times"].text
    )
