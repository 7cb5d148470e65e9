"""study.lock: what was planned, plan by plan, and what becomes of a file that is no such list."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from initbench.record.plans import NAME, Plan, Race, add_plan, looks, looks_before, read_plans

FIXED = Plan(
    inits=("orthogonal", "zeros"),
    workloads=("0123456789",),
    seeds=(0, 1, 2),
    targets=(0.8, 0.9),
    margin=0.5,
    reference="zeros",
)
RACED = replace(FIXED, seeds=(), race=Race(0.05, 30, "2h", strict=False, per_task=True))


def contents(study: Path) -> list[Plan]:
    return [replace(plan, runs_before=0, written_at="", sweeps=()) for plan in read_plans(study)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    add_plan(tmp_path, FIXED, 0)
    add_plan(tmp_path, RACED, 6)
    first, second = read_plans(tmp_path)
    assert contents(tmp_path) == [FIXED, RACED]
    assert (first.runs_before, second.runs_before) == (0, 6)
    assert first.written_at <= second.written_at
    assert first.written_at


def test_the_same_plan_is_written_once(tmp_path: Path) -> None:
    add_plan(tmp_path, FIXED, 0)
    before = (tmp_path / NAME).read_bytes()
    add_plan(tmp_path, FIXED, 3)
    assert (tmp_path / NAME).read_bytes() == before


def test_before_a_run_has_ended_a_plan_takes_the_place_of_the_last(tmp_path: Path) -> None:
    add_plan(tmp_path, FIXED, 0)
    add_plan(tmp_path, RACED, 0)
    assert contents(tmp_path) == [RACED]
    add_plan(tmp_path, FIXED, 1)
    assert contents(tmp_path) == [RACED, FIXED]


def test_a_plan_that_is_typed_again_is_the_latest_and_its_budget_may_change(tmp_path: Path) -> None:
    other = replace(FIXED, inits=("ones", "eye"))
    cheaper = replace(RACED, race=Race(0.05, 30, 200, strict=False, per_task=True))
    for plan, sweep in ((RACED, "a"), (other, "b"), (cheaper, "c")):
        add_plan(tmp_path, plan, 5, sweep)
    assert contents(tmp_path) == [other, cheaper]
    assert [plan.sweeps for plan in read_plans(tmp_path)] == [("b",), ("a", "c")]


def test_typing_an_earlier_plan_again_undoes_no_look(tmp_path: Path) -> None:
    more = replace(FIXED, seeds=tuple(range(20)))
    for plan, runs in ((FIXED, 0), (more, 6), (FIXED, 40)):
        add_plan(tmp_path, plan, runs)
    assert len(looks(read_plans(tmp_path))) == 1
    assert looks_before(tmp_path, RACED, 40) == 2


def test_seeds_that_are_added_after_results_are_a_look(tmp_path: Path) -> None:
    more = replace(FIXED, seeds=(0, 1, 2, 3, 4))
    other = replace(FIXED, inits=("ones",), seeds=(7,))
    for plan, runs in ((FIXED, 0), (other, 6), (more, 7), (RACED, 11)):
        add_plan(tmp_path, plan, runs)
    assert [plan.content for plan in looks(read_plans(tmp_path))] == [FIXED, more]


def test_initializers_that_come_with_the_same_seeds_are_no_look_of_their_own(tmp_path: Path) -> None:
    wider = replace(FIXED, inits=(*FIXED.inits, "ones"))
    more = replace(wider, seeds=(0, 1, 2, 3, 4))
    for runs, plan, seen in ((0, FIXED, 0), (6, wider, 0), (9, more, 1), (15, replace(more, seeds=tuple(range(9))), 2)):
        add_plan(tmp_path, plan, runs)
        assert len(looks(read_plans(tmp_path))) == seen


def test_initializers_that_come_later_undo_no_look(tmp_path: Path) -> None:
    """They are judged together with the seeds that were added before."""
    more = replace(FIXED, seeds=(0, 1, 2, 3, 4))
    for runs, inits in ((10, ("ones", *FIXED.inits)), (13, ("ones", "eye"))):
        plans = [FIXED, replace(more, runs_before=6), replace(FIXED, inits=inits, runs_before=runs)]
        assert looks(plans) == [FIXED]
        every = replace(FIXED, inits=(*FIXED.inits, "ones", "eye"), seeds=tuple(range(9)), runs_before=20)
        assert looks([*plans, every]) == plans[:2]


def test_the_commands_of_one_verdict_are_one_look(tmp_path: Path) -> None:
    """Each adds seeds to initializers of its own."""
    others, more = ("ones", "eye"), (0, 1, 2, 3, 4)
    plans = [FIXED, replace(FIXED, inits=others, runs_before=6), replace(FIXED, seeds=more, runs_before=12)]
    assert len(looks(plans)) == 1
    assert len(looks([*plans, replace(FIXED, inits=others, seeds=more, runs_before=16)])) == 1


def changed(**parts: Any) -> str:
    plan = {
        **{key: list(of) if isinstance(of, tuple) else of for key, of in vars(FIXED).items()},
        "race": {"level": 0.05, "most_seeds": 30, "budget": None, "strict": False, "per_task": False},
        **parts,
    }
    return json.dumps({"schema": 1, "plans": [plan]})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"plans": 3}',
        '{"plans": [3]}',
        '{"plans": [{}]}',
        changed(more=1),
        changed(seeds=["0"]),
        changed(inits="zeros"),
        changed(margin="wide"),
        changed(runs_before=None),
        changed(race={}),
        changed(race={"level": 2.0, "most_seeds": 30, "budget": None, "strict": False, "per_task": False}),
        changed(race={"level": 0.05, "most_seeds": 0, "budget": None, "strict": False, "per_task": False}),
    ],
)
def test_what_is_no_list_of_plans_is_told_and_set_aside(
    content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_text(content)
    assert read_plans(tmp_path) == []
    assert "the next sweep sets the file aside" in capfd.readouterr().err
    add_plan(tmp_path, FIXED, 6)
    assert contents(tmp_path) == [FIXED]
    assert (tmp_path / f"{NAME}.damaged").read_text() == content


def test_a_plan_that_a_test_changes_is_one_without_the_change(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(changed())
    assert len(read_plans(tmp_path)) == 1


@pytest.mark.parametrize("is_link", [True, False])
def test_a_folder_or_a_link_to_nothing_in_its_place_stops_no_sweep(is_link: bool, tmp_path: Path) -> None:
    if is_link:
        (tmp_path / NAME).symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / NAME).mkdir()
    add_plan(tmp_path, FIXED, 0)
    assert contents(tmp_path) == [FIXED]
