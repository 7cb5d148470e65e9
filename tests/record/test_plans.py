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


MORE = replace(FIXED, seeds=(0, 1, 2, 3))


@pytest.mark.parametrize(
    "later, earlier, looks_again",
    [
        (MORE, FIXED, True),
        (FIXED, MORE, False),
        (FIXED, FIXED, False),
        (replace(FIXED, seeds=(3, 4)), FIXED, True),
        (RACED, FIXED, True),
        (FIXED, RACED, True),
        (replace(FIXED, seeds=()), RACED, True),
        (replace(MORE, inits=("zeros", "ones")), FIXED, False),  # one initializer alone is compared with nothing
        (replace(MORE, inits=("zeros", "ones", "orthogonal")), FIXED, True),
        (replace(MORE, workloads=("another",)), FIXED, False),
        (replace(MORE, workloads=("another", "0123456789")), FIXED, True),
        (replace(RACED, workloads=("another",)), FIXED, False),
        (replace(RACED, inits=("ones", "eye")), FIXED, False),
    ],
)
def test_a_further_look_shares_a_comparison_and_has_more_seeds_or_is_a_race(
    later: Plan, earlier: Plan, looks_again: bool
) -> None:
    assert later.looks_again_at(earlier) is looks_again


@pytest.mark.parametrize("part", ["inits", "workloads", "seeds", "targets", "margin", "reference"])
def test_all_that_decides_about_claims_is_content(part: str) -> None:
    assert replace(FIXED, **{part: None}).content != FIXED.content


def test_a_race_is_the_same_at_another_cost_only() -> None:
    race = Race(0.05, 30, "2h", strict=False, per_task=True)
    assert replace(RACED, race=replace(race, budget=7), sweeps=("a",), runs_before=3, written_at="now").content == (
        RACED.content
    )
    for part, other in (("level", 0.1), ("most_seeds", 31), ("strict", True), ("per_task", False)):
        assert replace(RACED, race=replace(race, **{part: other})).content != RACED.content


def test_results_that_were_seen_are_of_runs_that_had_ended_before_the_next_plan() -> None:
    """In whichever order plans stand in the file; those of before the same runs have seen nothing of each other."""
    more = replace(MORE, runs_before=6)
    assert looks([more, FIXED]) == [FIXED]
    assert looks([replace(FIXED, runs_before=6), more]) == []
    assert looks([]) == []


def test_the_longest_chain_of_looks_counts() -> None:
    """An initializer that comes in between has been looked at less often."""
    second, third = replace(MORE, runs_before=6), replace(FIXED, seeds=tuple(range(9)), runs_before=8)
    aside = replace(FIXED, seeds=(50, 51), runs_before=7)
    assert looks([FIXED, second, third]) == [FIXED, second]
    assert looks([FIXED, second, aside, third]) == [FIXED, second, aside]


def test_a_race_is_judged_by_its_own_looks_only() -> None:
    other = replace(RACED, inits=("ones", "eye"), runs_before=9)
    assert looks([FIXED, replace(MORE, runs_before=6), other]) == []
    assert looks([FIXED, other, replace(MORE, runs_before=12)]) == [FIXED]


def test_a_plan_that_is_to_be_run_sees_what_has_ended_by_now_and_one_of_before_what_had_by_then(tmp_path: Path) -> None:
    add_plan(tmp_path, FIXED, 0)
    assert looks_before(tmp_path, MORE, 6) == 1
    assert looks_before(tmp_path, MORE, 0) == 0
    assert looks_before(tmp_path, FIXED, 6) == 0
    add_plan(tmp_path, MORE, 6)
    assert looks_before(tmp_path, MORE, 40) == 1
    assert looks_before(tmp_path, replace(FIXED, inits=("ones", "eye")), 40) == 1


def test_before_a_run_has_ended_only_the_last_plan_is_replaced_and_sweeps_without_an_id_leave_none(
    tmp_path: Path,
) -> None:
    for plan, runs, sweep in ((FIXED, 3, "a"), (MORE, 3, None), (RACED, 0, "b")):
        add_plan(tmp_path, plan, runs, sweep)
    assert contents(tmp_path) == [FIXED, RACED]
    assert [(plan.sweeps, plan.runs_before) for plan in read_plans(tmp_path)] == [(("a",), 3), (("b",), 0)]
    add_plan(tmp_path, MORE, 3)
    assert read_plans(tmp_path)[-1].sweeps == ()


def test_a_budget_that_changes_is_written_down_and_the_rest_stays(tmp_path: Path) -> None:
    add_plan(tmp_path, RACED, 2, "a")
    add_plan(tmp_path, replace(RACED, race=Race(0.05, 30, 200, strict=False, per_task=True)), 9, "b")
    (plan,) = read_plans(tmp_path)
    assert plan.race is not None
    assert (plan.race.budget, plan.runs_before, plan.sweeps) == (200, 2, ("a", "b"))


def test_what_a_newer_initbench_planned_stays(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    newer = json.dumps({**json.loads(changed()), "schema": 2})
    (tmp_path / NAME).write_text(newer)
    add_plan(tmp_path, FIXED, 6)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(NAME, newer)]
    assert "upgrade initbench" in capfd.readouterr().err


def raced(**parts: Any) -> str:
    race = {"level": 0.05, "most_seeds": 30, "budget": None, "strict": False, "per_task": False}
    return changed(race={**race, **parts})


def without(key: str) -> str:
    content = json.loads(changed())
    del content["plans"][0][key]
    return json.dumps(content)


@pytest.mark.parametrize(
    "content, words",
    [
        (changed(seeds=[0, "1"]), "seeds is"),
        (changed(targets=[0.5, None]), "targets is"),
        (changed(sweeps=[1]), "sweeps is"),
        (changed(workloads=3), "workloads is 3, not a list"),
        (changed(reference=3), "reference is 3"),
        (changed(written_at=None), "written_at is None"),
        (without("seeds"), "a plan is ['seeds'], not all keys of a plan and no other"),
        (raced(level=1.0), "race is"),
        (raced(level=0.0), "race is"),
        (raced(most_seeds=0), "race is"),
        (raced(budget=0.5), "race is"),
        (raced(more=1), "race is"),
        (changed().replace('"schema": 1', '"schema": 0'), "schema is 0, not 1"),
        (changed().replace('"schema": 1', '"schema": "1"'), "schema is '1', not a whole number"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told(
    content: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).write_text(content)
    assert read_plans(tmp_path) == []
    add_plan(tmp_path, FIXED, 6)
    assert f"({words}" in capfd.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    "content, key, value",
    [
        (changed(margin=1), "margin", 1),
        (changed(margin=None), "margin", None),
        (changed(reference=None), "reference", None),
    ],
)
def test_a_plan_may_have_whole_numbers_or_none_where_it_may(
    content: str, key: str, value: int | None, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_text(content)
    (plan,) = read_plans(tmp_path)
    assert getattr(plan, key) == value
    assert isinstance(plan.inits, tuple)
    assert isinstance(plan.targets, tuple)


def test_a_budget_of_a_race_is_kept_as_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(raced(budget="2h"))
    (plan,) = read_plans(tmp_path)
    assert plan.race is not None
    assert plan.race.budget == "2h"


def test_a_race_that_goes_on_sees_what_had_ended_when_it_began(tmp_path: Path) -> None:
    for plan, runs in ((RACED, 0), (FIXED, 6)):
        add_plan(tmp_path, plan, runs)
    assert looks_before(tmp_path, RACED, 40) == 0
    assert looks_before(tmp_path, replace(RACED, margin=0.1), 40) == 2


def test_a_sweep_that_sets_a_damaged_file_aside_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / NAME).write_text("{")
    add_plan(tmp_path, FIXED, 6)
    assert f"{NAME} cannot be read" in capsys.readouterr().err
