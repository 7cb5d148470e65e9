"""What a worker sends back, what its parent makes of it, and what each slot is given of the machine."""

import pickle
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from initbench import console
from initbench.schema.ranges import MOST_THREADS
from initbench.workers import slots as module
from initbench.workers.reply import failed, outcome
from initbench.workers.slots import MALLOC, THREADS, Slots, device_names, sharing, visible_gpus
from initbench.workers.worker import _pack


def sent(status: JobStatus, value: Any) -> JobReturn:
    result = JobReturn(status=status, overrides=["a=1"], cfg={"large": 1}, hydra_cfg={"large": 1})  # type: ignore[arg-type]  # any
    result.return_value = value
    return outcome(_pack(result))


def test_a_value_comes_back_without_the_config() -> None:
    found = sent(JobStatus.COMPLETED, {"a": [1]})
    assert (found.status, found.return_value, found.overrides) == (JobStatus.COMPLETED, {"a": [1]}, ["a=1"])
    assert found.cfg is found.hydra_cfg is None


def test_an_error_comes_back_with_where_it_was_raised() -> None:
    try:
        raise KeyError("lost")
    except KeyError as error:
        found = sent(JobStatus.FAILED, error)._return_value
    assert repr(found) == "KeyError('lost')"
    assert "In the worker:" in found.__notes__[0]
    assert "test_an_error_comes_back" in found.__notes__[0]


class TwoArgumentsError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def test_what_cannot_be_sent_is_an_error_that_can() -> None:
    exited = sent(JobStatus.FAILED, SystemExit(3))
    assert repr(exited._return_value) == "RuntimeError('the job called sys.exit(3)')"
    odd = sent(JobStatus.FAILED, TwoArgumentsError("one", "two"))
    assert "TwoArgumentsError: onetwo (cannot be pickled: " in str(odd._return_value)
    generator = sent(JobStatus.COMPLETED, (number for number in range(3)))
    assert generator.status is JobStatus.FAILED
    assert str(generator._return_value).startswith("what the job returned cannot be pickled: ")


def test_what_a_worker_could_not_say_its_parent_says_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "unsaid", ["what a worker kept", "and more"])
    reply = _pack(JobReturn(status=JobStatus.COMPLETED))
    assert console.unsaid == []
    outcome(reply)
    outcome(reply)
    assert capsys.readouterr().err == "initbench: what a worker kept\ninitbench: and more\n"


def test_a_failure_says_so() -> None:
    error = ValueError("no")
    assert (failed(error).status, failed(error)._return_value) == (JobStatus.FAILED, error)


def test_a_reply_without_such_lines_is_read() -> None:
    assert outcome(pickle.dumps(JobReturn(status=JobStatus.COMPLETED))).status is JobStatus.COMPLETED


@pytest.fixture
def twelve_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 12)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def of(environments: list[dict[str, str]]) -> list[tuple[str, str | None]]:
    return [(one["OMP_NUM_THREADS"], one.get("CUDA_VISIBLE_DEVICES")) for one in environments]


@pytest.mark.usefixtures("twelve_cores")
@pytest.mark.parametrize(
    "visible, keys, expected",
    [
        ("", {}, [("1", None)] * 12),
        ("", {"slots": 5}, [("2", None)] * 5),
        ("", {"slots": 24}, [("1", None)] * 24),
        ("", {"threads_per_slot": 5}, [("5", None)] * 2),
        ("", {"threads_per_slot": 13}, [("13", None)]),
        ("", {"slots": 2, "threads_per_slot": 3}, [("3", None)] * 2),
        ("", {"devices": [], "slots": 2}, [("6", "")] * 2),
        ("", {"devices": 0, "slots": 2}, [("6", "")] * 2),
        ("0,1", {}, [("6", "0"), ("6", "1")]),
        ("0,1", {"runs_per_device": 2}, [("3", "0"), ("3", "1"), ("3", "0"), ("3", "1")]),
        ("0,1", {"slots": 3}, [("4", "0"), ("4", "1"), ("4", "0")]),
        ("3,5", {"devices": 1}, [("12", "3")]),
        ("", {"devices": ["GPU-1", 7]}, [("6", "GPU-1"), ("6", "7")]),
    ],
)
def test_slots_share_cores_and_take_devices_in_turn(
    visible: str, keys: dict[str, Any], expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    environments = Slots(**keys).environments()
    assert of(environments) == expected
    for environment in environments:
        assert {environment[name] for name in THREADS} == {expected[0][0]}
        assert environment.items() >= MALLOC.items()


@pytest.mark.parametrize("key", ["slots", "runs_per_device", "threads_per_slot"])
@pytest.mark.parametrize("value", [0, -1, MOST_THREADS + 1])
def test_numbers_of_slots_have_a_range(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^hydra.launcher.{key} must be from 1 to {MOST_THREADS}, got {value}$"):
        Slots(**{key: value}).environments()  # type: ignore[arg-type]  # of keys of a config


def test_devices_are_a_number_of_the_visible_ones_or_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", " 2, GPU-3,,-1,4")
    assert visible_gpus() == device_names(None) == ["2", "GPU-3", "4"]
    assert device_names(2) == ["2", "GPU-3"]
    assert device_names(3) == ["2", "GPU-3", "4"]
    assert device_names(0) == []
    for number in (4, -1):
        with pytest.raises(ValueError, match=f"hydra.launcher.devices is {number}, but the visible GPUs are"):
            device_names(number)
    with pytest.raises(ValueError, match=r"must be a number or a list, got '0,1': try \[0,1\]"):
        device_names("0,1")


@pytest.mark.usefixtures("twelve_cores")
def test_runs_of_several_processes_share_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(Slots().for_processes(5).environments()) == [("6", None)] * 2
    assert of(Slots().for_processes(13).environments()) == [("12", None)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6")
    assert of(Slots().for_processes(3).environments()) == [("6", "0,1,2"), ("6", "3,4,5")]
    assert of(Slots().for_processes(7).environments()) == [("12", "0,1,2,3,4,5,6")]
    assert Slots(slots=3).for_processes(2) == Slots(slots=3)
    assert sharing([{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}, {"CUDA_VISIBLE_DEVICES": "1"}]) == 2
