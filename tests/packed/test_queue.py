"""What becomes of the runs of a kind when their speed is measured, by what the slots reply."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from configs import compose_config
from hydra.core.utils import JobReturn, JobStatus

from initbench.errors import UserMistake
from initbench.packed import files, messages
from initbench.packed.outcome import Outcome
from initbench.packed.queue import Jobs, Packing, Queue
from initbench.packed.speed import Steps, remembered
from initbench.packed.telling import Telling
from initbench.record.store import Store
from initbench.workers.reply import failed

ENVIRONMENTS: list[dict[str, str]] = [{}, {}]


@pytest.fixture
def measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Queue, list[Store]]:
    """A queue of three runs, whose two slots are measuring."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runs = [Store(compose_config("model=mlp", f"runs_dir={tmp_path}", f"seed={seed}")) for seed in range(3)]
    jobs = Jobs(3, runs.__getitem__, lambda place: b"run %d" % place)
    queue = Queue(jobs, Packing(ENVIRONMENTS, most=8, measure=True), Telling())
    asked = list(queue)
    assert [pickle.loads(message)[0] for _, message in asked] == [messages.measure] * 2
    return queue, runs


def measured(alone: float, packed: float) -> bytes:
    steps = Steps(alone, {4: packed})
    return pickle.dumps(JobReturn(status=JobStatus.COMPLETED, _return_value=steps))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("reply", [lambda: pickle.dumps(failed(ValueError("no room"))), lambda: -9])
def test_whichever_slot_cannot_measure_the_runs_are_trained_by_themselves(
    place: int,
    reply: Callable[[], bytes | int],
    measuring: tuple[Queue, list[Store]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue, runs = measuring
    for number in range(2):
        queue.take(number + 1, reply() if number == place else measured(1.0, 0.1))
    assert [message for _, message in queue] == [b"run 0", b"run 1", b"run 2"]
    assert "3 runs by themselves: the speed of a pack cannot be measured: " in capsys.readouterr().out
    assert remembered(runs[0].config, ENVIRONMENTS[0]) is None  # another time it may be


@pytest.mark.parametrize("packed, replicas", [((0.5, 0.5), 4), ((0.5, 2.5), 0), ((2.5, 0.5), 0)])
def test_the_mean_over_all_slots_decides(
    packed: tuple[float, float], replicas: int, measuring: tuple[Queue, list[Store]]
) -> None:
    queue, runs = measuring
    queue.take(1, measured(1.0, packed[0]))
    assert list(queue) == []
    queue.take(2, measured(1.0, packed[1]))
    is_alone = [message for _, message in queue] == [b"run 0", b"run 1", b"run 2"]
    assert is_alone == (replicas == 0)
    found = remembered(runs[0].config, ENVIRONMENTS[0])
    assert found is not None
    assert found.replicas == replicas


def reply(value: Any) -> bytes:
    return pickle.dumps(JobReturn(status=JobStatus.COMPLETED, _return_value=value))


def queue_of(runs: Sequence[Store | None], most: int = 8) -> Queue:
    """Without measuring, in one slot."""
    jobs = Jobs(len(runs), runs.__getitem__, lambda place: b"run %d" % place)
    return Queue(jobs, Packing([{}], most=most, measure=False), Telling())


@pytest.fixture
def four(tmp_path: Path) -> list[Store]:
    fixed = ["model=mlp", "logger=none", f"runs_dir={tmp_path}"]
    return [Store(compose_config(*fixed, f"seed={seed}")) for seed in range(4)]


def sent(queue: Queue) -> dict[int, bytes | list[int]]:
    """What is waiting: the seeds of a pack, or the message of a single run."""
    found: dict[int, bytes | list[int]] = {}
    for number, message in queue:
        if message.startswith(b"run"):
            found[number] = message
        else:
            function, configs = pickle.loads(message)
            assert function is messages.train
            found[number] = [config["seed"] for config in configs]
    return found


def names(runs: Sequence[Store]) -> list[str]:
    return [run.folder.name for run in runs]


def ended(value: float, status: str = "finished") -> dict[str, Any]:
    metric = {"name": "accuracy", "label": "test accuracy", "higher_is_better": True, "is_share": True}
    return {"status": status, "metric": metric, "results": {"val/best_accuracy": value}}


@pytest.mark.parametrize("died", [True, False])
def test_a_single_run_whose_process_was_lost_has_a_record_that_says_so(died: bool, four: list[Store]) -> None:
    """One that failed otherwise has written its own."""
    queue = queue_of([four[0], None])
    assert sent(queue) == {1: b"run 0", 2: b"run 1"}
    assert not files.is_written([four[0].folder])  # it is no pack
    queue.take(1, -9 if died else pickle.dumps(failed(ValueError("said already"))))
    queue.take(2, 3)  # no run whose record it could be
    record = four[0].read()
    if died:
        assert record is not None
        assert (record["status"], record["reason"]) == ("failed", "the job's process was killed by SIGKILL")
    else:
        assert record is None
    first, second = queue.returns()
    assert first.status is second.status is JobStatus.FAILED
    assert str(first._return_value) == ("the job's process was killed by SIGKILL" if died else "said already")
    assert str(second._return_value) == "the job's process ended with exit code 3"


def test_of_a_pack_each_run_has_the_value_of_its_own_record(four: list[Store]) -> None:
    """In the order of the jobs; a job that is the same run as another has its answer."""
    queue = queue_of([four[2], None, four[0], four[2], four[1]])
    assert sent(queue) == {1: [0, 1, 2], 2: b"run 1"}
    outcome = Outcome(records=dict(zip(names(four), [ended(0.1), ended(0.2), ended(0.3, "diverged")], strict=False)))
    queue.take(1, reply(outcome))
    queue.take(2, reply(7.0))
    assert sent(queue) == {}
    assert [answer.return_value for answer in queue.returns()] == [0.0, 7.0, 0.1, 0.0, 0.2]


def test_what_a_pack_leaves_is_trained_by_itself_with_its_reasons(
    four: list[Store], capsys: pytest.CaptureFixture[str]
) -> None:
    queue = queue_of(four)
    sent(queue)
    first, second, third, fourth = names(four)
    alone = {second: "it has [a] dropout", third: "it has [a] dropout", fourth: "something else"}
    capsys.readouterr()
    queue.take(1, reply(Outcome(records={first: ended(0.5)}, alone=alone)))
    assert capsys.readouterr().out.splitlines() == [
        "2 runs by themselves: it has [a] dropout",
        "1 run by itself: something else",
    ]
    assert sent(queue) == {2: b"run 1", 3: b"run 2", 4: b"run 3"}
    for number in (4, 2, 3):
        queue.take(number, reply(number / 10))
    assert [answer.return_value for answer in queue.returns()] == [0.5, 0.2, 0.3, 0.4]


def test_a_pack_whose_process_died_is_tried_again_and_then_halved(
    four: list[Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before all that is waiting; the files say what is decided now."""
    queue = queue_of([*four[:3], None, None])
    folders = [run.folder for run in four[:3]]
    assert files.is_written(folders)
    assert pickle.loads(next(queue)[1])[0] is messages.train
    queue.take(1, -9)
    assert "a process that trained 3 runs died; trying again" in capsys.readouterr().out
    number, message = next(queue)
    assert [config["seed"] for config in pickle.loads(message)[1]] == [0, 1, 2]
    assert files.is_written(folders)
    queue.take(number, 1)
    assert "it died again; trying with half as many runs" in capsys.readouterr().out
    assert not files.is_written(folders)
    assert files.is_written(folders[1:])
    assert not files.is_written(folders[:1])  # a run by itself is no pack
    assert list(sent(queue).values()) == [b"run 0", [1, 2], b"run 3", b"run 4"]
    assert all(run.read() is None for run in four)  # nothing is lost yet


def test_each_half_of_a_pack_may_die_once_more_than_the_whole(four: list[Store]) -> None:
    queue = queue_of(four)
    sent(queue)
    queue.take(1, -9)
    sent(queue)
    queue.take(2, -9)
    assert sent(queue) == {3: [0, 1], 4: [2, 3]}
    queue.take(4, -9)
    assert sent(queue) == {5: [2, 3]}


def test_a_pack_that_is_too_large_is_halved_and_what_has_ended_stays(
    four: list[Store], capsys: pytest.CaptureFixture[str]
) -> None:
    queue = queue_of(four)
    sent(queue)
    first, *others = names(four)
    queue.take(1, reply(Outcome(records={first: ended(0.5)}, too_large=[others])))
    assert "out of memory with 3 runs in a pack; trying with half as many" in capsys.readouterr().out
    assert sent(queue) == {2: b"run 1", 3: [2, 3]}


def test_a_pack_that_failed_is_trained_one_by_one_with_the_first_line_of_the_reason(
    four: list[Store], capsys: pytest.CaptureFixture[str]
) -> None:
    queue = queue_of(four)
    sent(queue)
    capsys.readouterr()
    queue.take(1, pickle.dumps(failed(RuntimeError("no room\nat all"))))
    assert capsys.readouterr().out == "4 runs by themselves: RuntimeError: no room\n"
    assert list(sent(queue).values()) == [b"run 0", b"run 1", b"run 2", b"run 3"]


def test_a_job_that_cannot_be_resolved_or_composed_fails_and_stops_no_other(four: list[Store]) -> None:
    def resolve(place: int) -> Store | None:
        if place == 0:
            raise KeyError("zero")
        return None

    def message(place: int) -> bytes:
        if place == 1:
            raise TypeError("one")
        return b"run %d" % place

    queue = Queue(Jobs(3, resolve, message), Packing([{}], most=8, measure=False), Telling())
    assert list(queue) == [(1, b"run 2")]
    queue.take(1, reply(2.0))
    *failures, last = queue.returns()
    assert [type(answer._return_value) for answer in failures] == [KeyError, TypeError]
    assert last.return_value == 2.0

    def mistaken(place: int) -> Store | None:
        raise UserMistake("not what you want")

    with pytest.raises(UserMistake, match="not what you want"):
        Queue(Jobs(1, mistaken, message), Packing([{}], most=8, measure=False), Telling())


def test_to_be_measured_a_kind_is_described_by_a_run_of_each_initializer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of each, in their order, in as many slots at once as will train."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fixed = ["model=mlp", f"runs_dir={tmp_path}"]
    runs = [
        Store(compose_config(*fixed, f"init={init}", f"seed={seed}"))
        for init in ("zeros", "default")
        for seed in (5, 3)
    ]
    jobs = Jobs(4, runs.__getitem__, lambda place: b"run %d" % place)
    asked = list(Queue(jobs, Packing([{}, {}, {}], most=8, measure=True), Telling()))
    assert len(asked) == 3
    for _, message in asked:
        function, (configs, _) = pickle.loads(message)
        assert function is messages.measure
        assert [(config["init"]["name"], config["seed"]) for config in configs] == [("zeros", 5), ("default", 5)]


def test_of_a_pack_each_run_is_asked_for_its_objective(tmp_path: Path) -> None:
    fixed = ["model=mlp", "logger=none", f"runs_dir={tmp_path}", "objective=test/accuracy"]
    runs = [Store(compose_config(*fixed, f"seed={seed}")) for seed in range(2)]
    queue = queue_of(runs)
    sent(queue)
    records = [ended(0.9), ended(0.9)]
    for record, value in zip(records, (0.25, 0.5), strict=True):
        record["results"]["test/accuracy"] = value
    queue.take(1, reply(Outcome(records=dict(zip(names(runs), records, strict=True)))))
    assert [answer.return_value for answer in queue.returns()] == [0.25, 0.5]
