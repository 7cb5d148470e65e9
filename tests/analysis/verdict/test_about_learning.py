"""What is said of runs that learned nothing, or failed."""

import pytest
from frames import frame, record
from verdicts import said

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentences import sentences


def test_a_workload_on_which_every_run_failed_is_named() -> None:
    never = (None, None)
    rows = [record(init, seed, 0.9 - 0.1 * (init == "b"), hits=never) for init in "ab" for seed in range(6)]
    rows += [record(init, 0, status="failed", model={"depth": 50}) for init in "ab"]
    assert "model.depth=50 (no run on it has a score)" in said(Comparison(frame(*rows)))["left_out"].text


def test_runs_that_learned_nothing_are_counted() -> None:
    rows = [record("a", seed, 0.9, hits=(None, None)) for seed in range(6)]
    rows += [record("b", seed, 0.8 if seed else 0.1, hits=(None, None)) for seed in range(6)]
    assert (
        said(Comparison(frame(*rows)))["learned"].text
        == "Whether a run learned anything depended on the seed: 5 of 6 runs of b did."
    )


def test_initializers_of_which_no_run_learned_are_named() -> None:
    means = {"a": 0.9, "b": 0.1, "c": 0.1}
    rows = [record(init, seed, mean, hits=(None, None)) for init, mean in means.items() for seed in range(6)]
    assert said(Comparison(frame(*rows)))["learned"].text == "No run of b or c learned anything."


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_where_nothing_learned_there_is_nothing_to_choose(status: str) -> None:
    rows = [record(i, s, 0.1 + s / 1000, status=status, hits=(None, None)) for i in "ab" for s in range(6)]
    (only,) = sentences(Comparison(frame(*rows)))
    assert only.text == "No run of a or b learned anything: there is nothing to choose between them."
