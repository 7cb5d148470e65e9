"""What becomes of the runs of a kind when their speed is measured, by what the slots reply."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from configs import compose_config
from hydra.core.utils import JobReturn, JobStatus

from initbench.packed import messages
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
