"""Everything that is wrong with a set of runs is said, and nothing else."""

import pytest
from frames import frame, record

from initbench.analysis.verdict.problems import problems
from initbench.analysis.workload.ranking import rankings


def said(*records: dict[str, object]) -> list[tuple[str, bool, str]]:
    runs = frame(*records)
    return [(problem.kind, problem.is_serious, problem.text) for problem in problems(runs, rankings(runs))]


def test_a_full_grid_has_none() -> None:
    assert said(*(record(init, seed) for init in "ab" for seed in range(3))) == []


def test_missing_seeds_and_initializers_are_named() -> None:
    full = [record(init, seed, model={"depth": depth}) for init in "ab" for seed in range(3) for depth in (1, 2)]
    lacking = [r for r in full if (r["init"], r["seed"], r["config"]["model"]["depth"]) != ("b", 1, 1)]
    ((kind, serious, text),) = said(*lacking)
    assert (kind, serious) == ("missing", False)  # it was never begun, so nobody planned on it
    assert "model.depth=1: b has 2 of 3 seeds (missing: 1)" in text
    failed = [r for r in full if (r["init"], r["config"]["model"]["depth"]) != ("b", 1)]
    failed += [record("b", seed, status="failed", model={"depth": 1}) for seed in range(3)]
    assert "model.depth=1: no run of b has a score." in " ".join(text for _, _, text in said(*failed))


@pytest.mark.parametrize(
    "status, text",
    [
        ("failed", "1 run failed and is excluded."),
        ("interrupted", "1 run was interrupted and is excluded."),
        ("running", "1 run is not finished yet and is excluded."),
    ],
)
def test_runs_that_have_not_ended_are_serious(status: str, text: str) -> None:
    found = said(record("a", 0), record("a", 1), record("b", 0), record("b", 1, status=status))
    assert found[0] == ("unended", True, text)


def test_one_seed_is_serious() -> None:
    assert [(kind, serious) for kind, serious, _ in said(record("a", 0), record("b", 0))] == [("seeds", True)]


def test_what_was_refused_is_no_gap() -> None:
    rows = [record("a", 0), record("a", 1), record("b", 0, status="refused", reason="no branches")]
    (found,) = said(*rows)
    assert found[:2] == ("refused", False)
    assert "b was refused: no branches" in found[2]


def test_divergence_is_said_with_its_share() -> None:
    rows = [record("a", 0), record("a", 1), record("b", 0), record("b", 1, None, status="diverged")]
    (found,) = said(*rows)
    assert found[:2] == ("diverged", False)
    assert "b 1 of 2" in found[2]


def test_a_best_rate_at_the_edge() -> None:
    rows = [record(init, seed, 0.5 + lr / 10, lr=lr) for init in "ab" for seed in (0, 1) for lr in (0.1, 1.0, 2.0)]
    (found,) = said(*rows)
    assert found[:2] == ("edge", False)
    assert "a (2), b (2)" in found[2]


def test_several_machines_commits_or_versions() -> None:
    rows = [
        record("a", seed, device="cpu", provenance={"processor": p, "versions": {"torch": t}, "git": {"commit": c}})
        for seed, (p, t, c) in enumerate((("x", "2.11", "abc"), ("y", "2.12", "def")))
    ]
    texts = [text for kind, serious, text in said(*rows) if kind == "machines" and not serious]
    assert [text.split(" (")[0] for text in texts] == [
        "Runs come from 2 processors",
        "Runs come from 2 versions of torch",
        "Runs come from 2 commits of the working directory",
    ]


def test_runs_of_packs_beside_runs_alone() -> None:
    rows = [record("a", 0, replicas=64), record("a", 1), record("b", 0, replicas=64), record("b", 1)]
    (text,) = [text for kind, serious, text in said(*rows) if kind == "machines"]
    assert text == "Runs were trained in groups of 1 to 64, so their wall-clock times are not comparable."


def test_the_serious_come_first() -> None:
    rows = [record("a", 0), record("a", 1), record("b", 0, None, status="diverged"), record("b", 1, status="failed")]
    assert [serious for _, serious, _ in said(*rows)] == [True, False, False]  # failed, and so a seed too few
