"""The jobs of a launch in their queue: those without a run, the same run twice, what fails, and what is cleared."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from configs import compose_config
from frames import record
from hydra.core.utils import JobReturn, JobStatus

from initbench.errors import UserMistake
from initbench.packed import files, messages
from initbench.packed.queue import Jobs, Packing, Queue, forecast
from initbench.packed.telling import Telling
from initbench.record.store import Store, write_record
from initbench.workers.reply import failed

DIED = -9


def config(folder: Path, seed: int, *overrides: str) -> dict[str, Any]:
    return compose_config("model=mlp", "logger=none", f"runs_dir={folder}", f"seed={seed}", *overrides)


def runs(folder: Path, number: int, *overrides: str) -> list[Store]:
    return [Store(config(folder, seed, *overrides)) for seed in range(number)]


def queue_of(jobs: list[Store | Exception | None], most: int = 8, slots: int = 1) -> Queue:
    return Queue(jobs_of(jobs), Packing([{}] * slots, most=most, measure=False), Telling())


def jobs_of(jobs: list[Store | Exception | None]) -> Jobs:
    def resolve(place: int) -> Store | None:
        job = jobs[place]
        if isinstance(job, Exception):
            raise job
        return job

    return Jobs(len(jobs), resolve, lambda place: b"job %d" % place)


def sent(queue: Queue) -> dict[int, str | list[Path]]:
    """What is sent to workers, by its number: the message of a job, or the folders of a pack."""
    found: dict[int, str | list[Path]] = {}
    for number, message in queue:
        if message.startswith(b"job"):
            found[number] = message.decode()
        else:
            function, configs = pickle.loads(message)
            assert function is messages.train
            found[number] = [Store(one).folder for one in configs]
    return found


def folders(*some: Store) -> list[Path]:
    return [run.folder for run in some]


def done(value: object) -> bytes:
    return pickle.dumps(JobReturn(status=JobStatus.COMPLETED, _return_value=value))


def values(queue: Queue) -> list[Any]:
    return [answer._return_value for answer in queue.returns()]


def ended(run: Store, score: float) -> dict[str, Any]:
    """Its record, which is written."""
    found = record("default", run.config["seed"], score)
    write_record(run.folder, found)
    return found


def test_each_job_has_its_own_answer_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    """One that is done, one that cannot be composed, the same run twice, and one that is packed with no other."""
    first, other = runs(tmp_path, 1)[0], Store(config(tmp_path, 0, "model.width=7"))
    queue = queue_of([None, first, KeyError("x"), first, other])
    assert sorted(map(str, sent(queue).values())) == ["job 0", "job 1", "job 4"]
    of_first = JobReturn(overrides=["seed=0"], status=JobStatus.COMPLETED, _return_value="of 1")
    for number, reply in zip((1, 2, 3), (pickle.dumps(of_first), done("of 4"), done("of 0")), strict=True):
        queue.take(number, reply)
    found = queue.returns()
    assert [answer._return_value for answer in found][:2] == ["of 0", "of 1"]
    assert found[3]._return_value == "of 1"
    assert (found[1].overrides, found[3].overrides) == (["seed=0"], None)
    assert found[4]._return_value == "of 4"
    assert found[2].status is JobStatus.FAILED
    assert isinstance(found[2]._return_value, KeyError)


def test_a_mistake_that_concerns_the_whole_sweep_ends_it(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="no sweep"):
        queue_of([*runs(tmp_path, 1), UserMistake("no sweep")])


@pytest.mark.parametrize("reply", [lambda: pickle.dumps(failed(ValueError("no\nway"))), lambda: b"no pickle"])
def test_runs_of_a_pack_that_fails_say_why_themselves(
    reply: Callable[[], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = runs(tmp_path, 2)
    queue = queue_of(list(some))
    sent(queue)
    queue.take(1, reply())
    assert sent(queue) == {2: "job 0", 3: "job 1"}
    said = capsys.readouterr().out
    assert "2 runs by themselves: " in said
    assert "way" not in said


@pytest.mark.parametrize(
    "reply, why",
    [
        (DIED, "was killed by SIGKILL"),
        (3, "ended with exit code 3"),
        (pickle.dumps(failed(ValueError("x"))), None),
        (done(1.0), None),
    ],
)
def test_only_a_run_whose_process_died_is_recorded_as_lost(reply: bytes | int, why: str | None, tmp_path: Path) -> None:
    (run,) = runs(tmp_path, 1)
    queue = queue_of([run, None])
    assert set(sent(queue).values()) == {"job 0", "job 1"}
    queue.take(1, reply)
    queue.take(2, DIED)
    found = run.read()
    if why is None:
        assert found is None
    else:
        assert found is not None
        assert (found["status"], found["reason"]) == ("failed", f"the job's process {why}")


def test_a_job_that_cannot_be_composed_is_that_jobs_failure(tmp_path: Path) -> None:
    some = [*runs(tmp_path, 1), Store(config(tmp_path, 0, "model.width=7"))]

    def message(place: int) -> bytes:
        if place == 0:
            raise KeyError("composed of nothing")
        return b"job %d" % place

    queue = Queue(Jobs(2, some.__getitem__, message), Packing([{}], most=8, measure=False), Telling())
    assert sent(queue) == {1: "job 1"}
    queue.take(1, done(2.0))
    first, second = queue.returns()
    assert isinstance(first._return_value, KeyError)
    assert second._return_value == 2.0


def test_packs_that_are_over_are_cleared_before_and_after(tmp_path: Path) -> None:
    some = runs(tmp_path, 2)
    files.write(folders(*some), slots=1)
    ended(some[0], 0.5)
    queue = queue_of([some[1]])
    assert not files.is_written(folders(*some))
    assert sent(queue) == {1: "job 0"}
    files.write(folders(*some), slots=1)
    queue.take(1, done(1.0))
    queue.returns()
    assert not files.is_written(folders(*some))


@pytest.mark.parametrize("slots, packs", [(1, "3"), (2, "2+1")])
def test_a_forecast_says_what_a_launch_begins_with(slots: int, packs: str, tmp_path: Path) -> None:
    some = runs(tmp_path, 3)
    lines = forecast(jobs_of([*some, None, some[0], KeyError("x")]), Packing([{}] * slots, most=8, measure=False))
    assert list(lines) == [f"mlp on mnist_mini: 3 runs, in packs of {packs}"]
    assert not files.is_written(folders(*some))
