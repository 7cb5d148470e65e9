"""Everything that is wrong with a set of runs is said, and nothing else."""

import pytest
from frames import frame, record

from initbench.analysis.verdict.problems import problems
from initbench.analysis.workload.ranking import rankings
from initbench.record.plans import Plan, Race


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


def of_plans(*plans: Plan, unreadable: list[str] | None = None) -> list[tuple[str, bool, str]]:
    """What is said of a and b, of which b lacks the last of three seeds."""
    runs = frame(*(record(init, seed) for init, seeds in (("a", 3), ("b", 2)) for seed in range(seeds)))
    runs.attrs |= {"plans": [*plans], "unreadable": unreadable or []}
    return [(problem.kind, problem.is_serious, problem.text) for problem in problems(runs, rankings(runs))]


PLAN = Plan(("a", "b"), ("w",), (0, 1), (0.9,), None, None)


def test_what_was_planned_anew_is_said_in_the_order_of_the_runs() -> None:
    """b was in an earlier plan than the one before, and is nothing new."""
    second = Plan(("a", "c"), ("w", "v"), (0, 1, 2), (0.9,), 0.5, None, runs_before=4)
    third = Plan(("c", "b"), ("w",), (3, 4), (0.8,), 0.5, "a", Race(0.05, 30, None, False, False), runs_before=9)
    texts = [text for kind, serious, text in of_plans(third, PLAN, second) if kind == "plan" and not serious]
    assert texts == [
        "The plan was changed after 4 runs of the study: initializers added: c; workloads added: 1; seeds added: 2; "
        "margin changed.",
        "The plan was changed after 9 runs of the study: seeds added: 3, 4; reference changed; targets changed; race "
        "rules changed.",
    ]
    fewer = Plan(("a",), ("w",), (0,), (0.9,), None, None, runs_before=4)
    assert [kind for kind, *_ in of_plans(PLAN, fewer)] == ["missing"]


def test_in_a_race_some_have_fewer_seeds_by_design() -> None:
    race = Plan(("a", "b"), ("w",), (), (0.9,), None, None, Race(0.05, 30, None, False, False), runs_before=4)
    assert [kind for kind, *_ in of_plans(race)] == []
    assert [kind for kind, *_ in of_plans(PLAN)] == ["missing"]
    assert "missing" in [kind for kind, *_ in of_plans(race, PLAN)]  # the latest sweep was no race


def test_records_that_cannot_be_read_are_counted_and_three_are_named() -> None:
    one, five = (of_plans(unreadable=[f"file{n}" for n in range(number)])[0] for number in (1, 5))
    assert one == ("unreadable", True, "1 run is excluded because its record cannot be read. file0.")
    assert five[2] == ("5 runs are excluded because their records cannot be read. file0, file1, file2 and 2 more.")


def test_a_run_that_is_there_twice_counts_once() -> None:
    rows = [record(init, seed) for init in "ab" for seed in range(2)]
    assert said(*rows, record("a", 0)) == [
        ("twice", False, "1 run is a duplicate (same config and seed); only one of each counts.")
    ]
    text = said(*rows, record("a", 0), record("b", 1), record("b", 0, lr=0.2))[-1][2]
    assert text.startswith("2 runs are duplicates ")


def test_several_are_spoken_of_as_several() -> None:
    rows = [record(init, seed) for init in "ab" for seed in range(3)]
    more = [record(init, 3, status="interrupted") for init in "ab"]
    assert said(*rows, *more)[0][2] == "2 runs were interrupted and are excluded."
    refused = [record(init, 0, status="refused", reason=why) for init, why in (("c", "x"), ("d", "x"), ("e", "y"))]
    texts = [text for kind, _, text in said(*rows, *refused) if kind == "refused"]
    assert [text.partition(": ")[2] for text in texts] == ["c, d were refused: x", "e was refused: y"]


def test_a_rate_inside_the_grid_is_at_no_edge_and_the_lowest_is() -> None:
    def of(best: float) -> list[str]:
        rates = (0.1, 1.0, 2.0)
        rows = [record(i, n, 0.5 - abs(lr - best) / 10, lr=lr) for i in "ab" for n in (0, 1) for lr in rates]
        return [text for kind, _, text in said(*rows) if kind == "edge"]

    assert of(1.0) == []
    assert "at the edge of the grid for a (0.1), b (0.1); a wider grid" in of(0.1)[0]


def test_machines_are_those_of_runs_that_are_compared_and_commits_are_cut() -> None:
    commits = ("0123456789abcdef", "fedcba9876543210")

    def of(status: str) -> list[str]:
        rows = [record(init, seed, provenance={"git": {"commit": commits[0]}}) for init in "ab" for seed in range(2)]
        rows.append(record("a", 2, status=status, provenance={"git": {"commit": commits[1]}}))
        return [text for kind, _, text in said(*rows) if kind == "machines"]

    assert of("failed") == []
    (text,) = of("finished")
    assert text.startswith("Runs come from 2 commits of the working directory (0123456789, fedcba9876): ")


def test_one_seed_of_one_of_them_is_no_problem_of_all() -> None:
    rows = [record("a", 0), record("a", 1), record("b", 0)]
    assert "seeds" not in [kind for kind, *_ in said(*rows)]
    assert "seeds" not in [kind for kind, *_ in said(record("a", 0))]  # with what should it be compared?
