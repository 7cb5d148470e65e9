"""The facts of a run that status shows, its line, and how much time is estimated from them."""

from dataclasses import replace
from typing import Any

import pytest
from records import NOW, iso, record

from initbench.metric import ACCURACY, Metric
from initbench.record.signature import workload
from initbench.status.facts import RunFacts, from_record, from_row
from initbench.status.line import line
from initbench.status.study import Plan, Race, Snapshot
from initbench.status.summary import _awaited, as_dict, estimate, summarize


def facts(init: str = "zeros", seed: int = 0, status: str = "finished", **parts: Any) -> RunFacts:
    made = record(init, seed, status, **parts)
    return from_record(made, f"lenet-mnist-{init}-seed{seed}-{made['signature']}")


def test_each_fact_is_what_its_name_says() -> None:
    made = record(
        "zeros",
        3,
        ago=100.0,
        took=10.0,
        attempt=2,
        reason="one\ntwo",
        steps=90,
        seconds_train=8.5,
        results={"val/best_accuracy": 0.9, "val/accuracy": 0.7, "test/accuracy": 0.8, "test/loss": 0.5},
        provenance={"hostname": "node1"},
    )
    made["config"] |= {"command": "python -m initbench optimizer.lr=0.1", "source": {"init": "3fa2c1d0e5"}}
    assert from_record(made, "the folder") == RunFacts(
        folder="the folder",
        name="lenet-mnist-zeros-seed3",
        init="zeros",
        init_source="3fa2c1d0e5",
        setting="5e771a9000",
        title="lenet on mnist, sgd lr 0.1",
        shared=workload(made["config"]),
        kind="lenet-mnist-",
        status="finished",
        sweep="5eed",
        begun=(2, iso(100), 0),
        since=NOW - 100,
        host="node1",
        seconds=10.0,
        seconds_train=8.5,
        step=90.0,
        total_steps=100.0,
        metric=ACCURACY,
        best=0.9,
        test=0.8,
        lr=0.1,
        reason="one",
        written=0,
    )


def test_what_a_record_lacks_is_unknown() -> None:
    seen = facts(status="running", lr=None, took=None)
    assert (seen.seconds, seen.seconds_train, seen.step, seen.total_steps, seen.best, seen.test) == (None,) * 6
    assert (seen.host, seen.lr, seen.reason, seen.title) == (None, None, None, "lenet on mnist, sgd")
    without = record()
    del without["metric"], without["started_at"]
    assert (from_record(without, "x").best, from_record(without, "x").since) == (None, None)
    assert from_record(without, "x").seconds == 10.0  # of training
    assert facts(provenance={"hostname": ""}).host is None


def test_the_rate_is_shown_only_where_it_was_typed() -> None:
    for command, lr in (("init=zeros", None), ("optimizer.lr=0.1", 0.1), (None, None)):
        made = record()
        made["config"]["command"] = command or ""
        assert from_record(made, "x").lr == lr


def test_a_run_that_was_resumed_took_as_long_as_its_training() -> None:
    seen = facts(took=10.0, ago=9999, resumed_at=[iso(50), iso(20)], finished_at=iso(10), seconds_train=7.0)
    assert (seen.seconds, seen.since, seen.begun[2]) == (7.0, NOW - 20, 2)


LOSS = Metric("mse", "test MSE", higher_is_better=False, unit="nats")


@pytest.mark.parametrize(
    "changes, already, expected",
    [
        ({}, "", "a[b]  [green]finished[/]  test accuracy 0.8000  12 s"),
        ({"lr": 0.05}, "already ", "a[b]  [green]already finished[/]  lr 0.05  test accuracy 0.8000  12 s"),
        ({"test": None, "seconds_train": None}, "", "a[b]  [green]finished[/]"),
        ({"metric": LOSS, "test": 2.5}, "", "a[b]  [green]finished[/]  test MSE 2.5000 nats  12 s"),
        ({"status": "failed", "reason": "[x] no", "test": None}, "", "a[b]  [red]failed[/]  12 s  \\[x] no"),
        ({"status": "odd", "metric": None}, "", "a[b]  [none]odd[/]  12 s"),
        ({"test": 0.0, "seconds_train": 0.0}, "", "a[b]  [green]finished[/]  test accuracy 0.0000  0.0 s"),
    ],
)
def test_the_line_of_a_run(changes: dict[str, Any], already: str, expected: str) -> None:
    run = replace(facts(), name="a[b]", test=0.8, seconds_train=12.0, **changes) if not changes else facts()
    run = replace(run, **{"name": "a[b]", "test": 0.8, "seconds_train": 12.0, **changes})
    shown = line(run, already).replace("a\\[b]", "a[b]")
    assert shown.split("  ") == expected.split("  ")


def plan_of(*folders: str, **keys: Any) -> Plan:
    return Plan(frozenset(folders), **{"force": False, "sweep": "now", "abandoned": False, **keys})


@pytest.mark.parametrize(
    "status, sweep, keys, expected",
    [
        ("finished", "before", {}, "finished"),
        ("diverged", "before", {}, "diverged"),
        ("failed", "before", {}, "waiting"),
        ("refused", "before", {}, "waiting"),
        ("interrupted", "before", {}, "waiting"),
        ("running", "before", {}, "running"),
        ("failed", "now", {}, "failed"),
        ("finished", "before", {"force": True}, "waiting"),
        ("running", "before", {"force": True}, "running"),
        ("finished", "now", {"force": True}, "finished"),
        ("failed", "before", {"abandoned": True}, "failed"),
        ("failed", None, {"sweep": None}, "failed"),
    ],
)
def test_what_the_latest_sweep_has_yet_to_repeat_waits(
    status: str, sweep: str | None, keys: dict[str, Any], expected: str
) -> None:
    run = facts(status=status, sweep=sweep)
    assert _awaited(run, plan_of(run.folder, **keys)).status == expected
    assert _awaited(run, plan_of("another", **keys)) == run
    assert _awaited(run, None) == run


def test_the_estimate_is_by_hand() -> None:
    """Two take 10 and 30 seconds; one of two that run is half done, of the other nothing is known; one waits."""
    done = [replace(facts(seed=seed), seconds=seconds) for seed, seconds in enumerate((10.0, 30.0))]
    other = replace(facts("ones"), seconds=50.0)
    half = replace(facts(seed=2, status="running"), step=50.0, total_steps=100.0, since=NOW - 100)
    begun = replace(facts("ones", 2, "running"), step=None, since=NOW - 20)
    found = estimate([*done, other, half, begun], [half, begun], ["lenet-mnist-zeros-seed9-x"], NOW, 2)
    assert found.seconds_each == pytest.approx((20 + 50 + 20) / 3)
    assert found.seconds_left == pytest.approx((10 + 30 + 20) / 2)
    alone = estimate([*done, other, half, begun], [half, begun], [], NOW, 2)
    assert alone.seconds_left == pytest.approx(30)  # not (10 + 30) / 2: one of them takes that long by itself
    late = estimate([other, begun], [replace(begun, since=NOW - 1000)], [], NOW, 1)
    assert late.seconds_left == 0
    behind = estimate([other, begun], [replace(begun, since=NOW - 1000)], [other.folder], NOW, 1)
    assert behind.seconds_left == 50  # what is late makes up for nothing
    unknown = estimate([other, begun], [replace(begun, since=None)], [], NOW, 1)
    assert unknown.seconds_left == 50
    assert estimate(done, [], None, NOW, 1).seconds_each is None
    assert estimate([*done, half], [half], None, NOW, 1).seconds_left is None
    assert estimate([*done], [], ["lenet-mnist-new-seed0-x"], NOW, 0).seconds_each == 20
    assert estimate([*done], [], ["lenet-mnist-new-seed0-x"], NOW, 0).seconds_left is None
    assert estimate([*done], [], ["mlp-mnist-zeros-seed0-x"], NOW, 1).seconds_left is None
    assert estimate([replace(done[0], status="failed")], [], [done[1].folder], NOW, 1).seconds_each is None


def test_what_runs_for_the_first_time_is_judged_by_its_own_speed() -> None:
    runs = [
        replace(facts(seed=seed, status="running"), step=step, total_steps=100.0, since=NOW - 30)
        for seed, step in ((0, 20.0), (1, 60.0))
    ]
    found = estimate(runs, runs, [], NOW, 2)
    assert found.seconds_each == pytest.approx((150 + 50) / 2)
    assert found.seconds_left == pytest.approx(max((100 * 0.8 + 100 * 0.4) / 2, 80))
    for unknown in ({"step": None}, {"step": 0.0}, {"total_steps": None}, {"since": None}, {"begun": (1, "x", 1)}):
        alone = replace(runs[0], **unknown)
        assert estimate([alone], [alone], [], NOW, 1).seconds_each is None


def test_a_summary_by_hand() -> None:
    done = [replace(facts("zeros", seed), best=best, written=seed) for seed, best in ((0, 0.5), (1, 0.9))]
    worse = facts("ones", 0, "diverged", results={"val/best_accuracy": 0.99})
    failed = [facts("eye", seed, "failed", reason=reason) for seed, reason in ((0, "b"), (1, "a"), (2, "a"))]
    refused = facts("eye", 3, "refused", reason="a")
    late, early = (facts("zeros", seed, "running") for seed in (7, 8))
    running = [replace(late, since=9.0, best=0.95), replace(early, since=5.0, best=None)]
    elsewhere = replace(facts("zeros", 9), setting="another", title="lenet on mnist, sgd", written=10**9)
    runs = [*done, worse, *failed, refused, *running, elsewhere]
    race = Race("", 5, 30, ["zeros"], {}, "zeros", {}, 0, False)
    plan = plan_of(*(run.folder for run in runs if run is not worse), "absent", races=(race,), abandoned=True)
    found = summarize(Snapshot(runs, ["damaged"], plan), NOW, at_once=1)
    assert found.counts == {"finished": 3, "diverged": 1, "failed": 3, "refused": 1, "running": 2, "waiting": 1}
    assert (found.planned, found.over, found.abandoned, found.unreadable) == (10, 7, False, ["damaged"])
    assert [run.since for run in found.running] == [5.0, 9.0]
    assert [(of.status, of.reason, len(of.folders)) for of in found.troubles] == [
        ("failed", "a", 2),
        ("failed", "b", 1),
        ("refused", "a", 1),
    ]
    assert found.estimate.at_once == 2
    first, second = found.settings
    assert second.title.startswith("lenet on mnist, sgd, 100 steps")
    assert [row.init for row in first.rows] == ["zeros", "eye", "ones"]
    zeros = first.rows[0]
    assert (zeros.median, zeros.best, zeros.metric) == (0.7, 0.95, ACCURACY)
    assert zeros.counts == {"finished": 2, "running": 2}
    assert (first.rows[2].median, first.rows[2].best) == (None, None)
    shown = as_dict(found)
    assert shown["running"][0].keys() == {"folder", "init", "since", "host", "step", "total_steps", "best"}
    assert shown["races"][0]["inside"] == ["zeros"]
    assert shown["counts"] == dict(found.counts)
    assert (shown["planned"], shown["over"], shown["abandoned"], shown["unreadable"]) == (10, 7, False, ["damaged"])
    assert shown["estimate"]["at_once"] == 2
    assert shown["troubles"][0] == {"status": "failed", "reason": "a", "folders": [of.folder for of in failed[1:]]}
    ended = summarize(Snapshot(runs[:7], [], plan), NOW)
    assert ended.abandoned
    assert not summarize(Snapshot(runs[:7], [], None), NOW).abandoned
    all_there = plan_of(*(run.folder for run in runs[:7]), abandoned=True)
    assert not summarize(Snapshot(runs[:7], [], all_there), NOW).abandoned  # nothing waits
    without = summarize(Snapshot(runs, [], None), NOW)
    assert (without.over, without.planned, without.estimate.seconds_left) == (8, None, None)


def test_where_less_is_better_the_least_is_first_and_best() -> None:
    runs = [
        replace(facts(init, seed), metric=LOSS, best=best)
        for init, values in (("a", (0.3, 0.5)), ("b", (0.2, 0.9)), ("c", (0.1, 0.1)))
        for seed, best in enumerate(values)
    ]
    (setting,) = summarize(Snapshot(runs, [], None), NOW).settings
    assert [(row.init, row.median, row.best) for row in setting.rows] == [
        ("c", 0.1, 0.1),
        ("a", 0.4, 0.3),
        ("b", pytest.approx(0.55), 0.2),
    ]


def test_rows_alike_are_in_the_order_of_their_best_and_then_of_their_names() -> None:
    values = {"b": (0.5, 0.7), "a": (0.6, 0.6), "c": (0.5, 0.7)}
    runs = [replace(facts(init, seed), best=best) for init, of in values.items() for seed, best in enumerate(of)]
    (setting,) = summarize(Snapshot(runs, [], None), NOW).settings
    assert [row.init for row in setting.rows] == ["b", "c", "a"]
    assert [row.median for row in setting.rows] == [pytest.approx(0.6)] * 3


def test_a_row_of_the_index_is_the_same_run() -> None:
    from initbench.record.flat import flat

    assert from_row(flat(record()), "x", written=7) == replace(from_record(record(), "x"), written=7)


def test_the_setting_that_was_written_last_comes_last_whenever_it_began() -> None:
    runs = [
        replace(facts("zeros", seed), setting=setting, title=setting, written=written)
        for seed, (setting, written) in enumerate((("a", 1), ("b", 2), ("a", 4), ("b", 3)))
    ]
    settings = summarize(Snapshot(runs, [], None), NOW).settings
    assert [(setting.title.partition(",")[0], setting.latest) for setting in settings] == [("b", 3), ("a", 4)]
