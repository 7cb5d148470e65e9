"""What mirrors share: ids, names that are not too long, rows from a thread, and that nothing ends a run."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from initbench.logger import RunInfo, is_none, mirror, none, summarize
from initbench.logger.mirror import Mirror, cut, identity, reason, say, started
from initbench.logger.mlflow import _key
from initbench.logger.trackio import TrackioMirror, _config
from initbench.logger.writer import Writer

MakeRun = Callable[..., RunInfo]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_unusable", set())


def test_an_id_is_of_a_run_its_folder_and_its_attempt(make_run: MakeRun) -> None:
    run = make_run("1a2b3c")
    assert identity(run).startswith("1a2b3c-")
    assert identity(run).endswith("-1")
    others = [make_run("1a2b3d"), make_run("1a2b3c", attempt=2), make_run("1a2b3c", folder=run.folder.parent)]
    assert len({identity(run), *map(identity, others)}) == 4
    assert identity(make_run("1a2b3c", resumed=True, name="other", tags=[])) == identity(run)
    assert len(identity(run).split("-")[1]) == 6


def test_a_text_that_is_cut_is_told_apart_and_as_long_as_it_may_be() -> None:
    assert cut("a" * 20, 20) == "a" * 20
    found = cut("a" * 21, 20)
    assert len(found) == 20
    assert found.startswith("a" * 11 + "-")
    assert found != cut("a" * 22, 20)
    assert cut("a\nb", 20) == r"a\nb"


def test_keys_of_mlflow_have_the_letters_that_it_takes() -> None:
    assert _key("init.rules[0]/ü:x-y z") == "init.rules_0_/__x-y z"
    assert len(_key("x" * 300)) == 250


def test_the_first_line_of_a_message_or_else_the_kind_of_error() -> None:
    assert reason(ValueError("one.\ntwo")) == "one"
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError("\n")) == "ValueError"


def test_what_is_said_of_a_service_has_no_secret_and_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("wandb", "a\x1b api_key=abcdef7788")
    assert capsys.readouterr().err == "wandb: a\\x1b api_key=***\n"


def test_a_place_that_a_run_could_not_be_started_in_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[str] = []

    def start(place: str, works: bool = False) -> str:
        tried.append(place)
        if not works:
            raise OSError("no server")
        return place

    assert started("mlflow", "a", lambda: start("a")) is None
    assert started("mlflow", "a", lambda: start("a", works=True)) is None
    assert started("trackio", "a", lambda: start("a", works=True)) == "a"
    assert started("mlflow", "b", lambda: start("b", works=True)) == "b"
    assert tried == ["a", "a", "b"]
    assert capsys.readouterr().err == "mlflow: runs are not logged: no server\n"


class Odd(Mirror):
    service = "odd"


def test_the_first_exception_is_told_and_the_rest_of_the_run_is_quiet(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Odd(make_run(), "what it is told with")
    assert odd.experiment == "what it is told with"
    called: list[int] = []

    def fail() -> None:
        called.append(1)
        raise ValueError("full")

    for _ in range(3):
        odd._attempt(fail)
    assert called == [1]
    assert capsys.readouterr().err == "odd: nothing more is logged for this run: full\n"
    assert odd.experiment.anything(1, a=2) is None
    assert (odd.name, odd.save_dir, odd.version) == ("depth", str(make_run().folder), identity(make_run()))
    for interrupt in (KeyboardInterrupt, SystemExit):
        with pytest.raises(interrupt):
            Odd(make_run(), 1)._attempt(lambda kind=interrupt: (_ for _ in ()).throw(kind))


def test_rows_are_written_in_their_order_as_many_at_once_as_have_come() -> None:
    written: list[list[int]] = []
    begun, goes_on = threading.Event(), threading.Event()

    def write(rows: list[int]) -> None:
        begun.set()
        goes_on.wait()
        written.append(rows)

    writer = Writer(write, most=3)
    writer.add([0])
    begun.wait()
    for number in range(1, 8):
        writer.add([number])
    goes_on.set()
    writer.finish()
    writer.end()
    assert written == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_what_a_write_raises_is_raised_by_what_comes_after_it() -> None:
    def write(rows: list[int]) -> None:
        raise OSError("full")

    writer = Writer(write, most=3)
    writer.add([1])
    with pytest.raises(OSError, match="full"):
        writer.finish()
    writer.finish()
    writer.add([2])
    writer._writes[0].exception()
    with pytest.raises(OSError, match="full"):
        writer.add([3])
    writer.end()


def rows_of(run: RunInfo, use: Callable[[TrackioMirror], None]) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    made = TrackioMirror(run, written.extend)
    use(made)
    made._writer.finish()
    return written


def test_a_row_of_trackio_has_its_step_the_config_once_and_an_id_of_its_own(make_run: MakeRun) -> None:
    def use(made: TrackioMirror) -> None:
        made.log_metrics({"b": 1, "a": True}, 3)
        made.log_metrics({"c": 2.0}, 3)
        made.log_metrics({"b": 2}, 5)
        made.log_metrics({"late": 1}, 4)
        made.summarize({"test/accuracy": 0.5, "status": "diverged", "reason": None})
        made.close(0)

    rows = rows_of(make_run(), use)
    assert [(row["step"], row["metrics"]) for row in rows] == [
        (3, {"b": 1.0, "a": 1.0}),
        (3, {"c": 2.0}),
        (5, {"b": 2.0}),
        (4, {"late": 1.0}),
        (5, {"test/accuracy": 0.5}),
        (5, {"exit_code": 0.0}),
    ]
    assert len({row["log_id"] for row in rows}) == 6
    assert {(row["project"], row["run"], row["run_id"]) for row in rows} == {
        ("depth", "orthogonal", identity(make_run()))
    }
    configs = [row["config"] for row in rows]
    assert configs[0] == {**make_run().flat_config, "tags": ["cpu", "mnist"], "status": "running"}
    assert configs[1:4] == [None] * 3
    assert configs[4]["status"] == "diverged"
    assert configs[5] is None  # how it ended was known already
    assert "reason" not in configs[4]
    assert _config(rows) == configs[4]
    assert _config(rows[1:4]) is None
    again = rows_of(make_run(resumed=True), lambda made: made.log_metrics({"b": 7, "a": 1}, 3))
    assert again[0]["log_id"] == rows[0]["log_id"]


@pytest.mark.parametrize(
    "exit_code, said, status", [(0, None, "finished"), (1, None, "failed"), (1, "finished", "failed")]
)
def test_the_status_of_a_run_of_trackio_is_how_it_ended(
    exit_code: int, said: str | None, status: str, make_run: MakeRun
) -> None:
    def use(made: TrackioMirror) -> None:
        if said:
            made.summarize({"status": said})
        made.close(exit_code)
        made.close(0)  # nothing more

    rows = rows_of(make_run(), use)
    assert _config(rows) is not None
    assert (_config(rows) or {})["status"] == status
    assert [row["metrics"] for row in rows if "exit_code" in row["metrics"]] == [{"exit_code": float(exit_code)}]


def test_loggers_that_take_no_summary_are_passed_over() -> None:
    told: list[Any] = []

    class Telling:
        def summarize(self, metrics: Any) -> None:
            told.append(metrics)

    summarize([object(), Telling()], {"a": 1})  # type: ignore[list-item]  # all that is called
    assert told == [{"a": 1}]
    assert none()(None) == []  # type: ignore[arg-type]  # it is not looked at
    assert is_none({"_target_": "initbench.logger.none"})
    assert not is_none({"_target_": "initbench.logger.csv.metrics_file"})
