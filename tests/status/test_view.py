"""How a study looks in a terminal."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from looking import look, text
from records import write

from initbench.record.lock import lock
from initbench.status.view import duration


def test_runs_are_counted_by_setting_and_initializer(tmp_path: Path) -> None:
    for seed, best in enumerate([0.8, 0.9, 0.4]):
        write(tmp_path, "zeros", seed, best=best)
        write(tmp_path, "orthogonal", seed, best=best + 0.05)
    write(tmp_path, "zeros", 3, "diverged", best=0.99)  # it did not get there and stay
    write(tmp_path, "zeros", 4, "failed")
    write(tmp_path, "zeros", 5, "refused")
    write(tmp_path, "zeros", 6, "interrupted")
    write(tmp_path, "zeros", 0, setting="another000", lr=None)
    summary = look(tmp_path)
    first, another = sorted(summary.settings, key=lambda setting: -len(setting.rows))
    assert first.title == "lenet on mnist, sgd lr 0.1, 100 steps"
    assert another.title == "lenet on mnist, sgd, 100 steps"
    assert [row.init for row in first.rows] == ["orthogonal", "zeros"]
    zeros = first.rows[1]
    assert dict(zeros.counts) == {"finished": 3, "diverged": 1, "failed": 1, "refused": 1, "interrupted": 1}
    assert (zeros.median, zeros.best) == (0.8, 0.9)
    assert summary.counts["finished"] == 7
    assert summary.planned is None


def test_settings_that_read_alike_are_told_apart(tmp_path: Path) -> None:
    for depth in (2, 20):
        write(tmp_path, "zeros", depth, setting=f"{depth:010d}", model={"depth": depth})
    titles = [setting.title for setting in look(tmp_path).settings]
    assert sorted(titles) == [f"lenet on mnist, sgd lr 0.1, 100 steps, model.depth={depth}" for depth in (2, 20)]


def test_reasons_are_told_once_each(tmp_path: Path) -> None:
    for seed in range(5):
        write(tmp_path, "zeros", seed, "failed", reason="MemoryError: no [room]\nsecond line")
    for seed in range(20):
        write(tmp_path, "ones", seed, "refused", reason=f"seed {seed} is odd")
    summary = look(tmp_path)
    assert len(summary.troubles[0].folders) == 5
    shown = text(summary)
    assert shown.count("MemoryError: no [room]") == 1
    assert "second line" not in shown
    assert "5 failed: " in shown
    assert shown.count("1 refused: ") == 9
    assert "and 11 more reasons" in shown


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A study with something of everything, and long names."""
    for index in range(30):
        init = f"orthogonal(gain={index}.5,mode=fan_in)"
        for setting in ("first00000", "second0000"):
            write(tmp_path, init, 0, setting=setting, best=index / 30)
            write(tmp_path, init, 1, "diverged", setting=setting)
            write(tmp_path, init, 2, "failed", setting=setting, reason="x" * 200)
    return tmp_path


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_keep_their_numbers(busy: Path, width: int) -> None:
    shown = text(look(busy), width)
    assert max(map(len, shown.splitlines())) <= width
    for head in ("val median", "best", "finished", "diverged", "failed"):
        assert head in shown
    assert "0.9667" in shown


def test_a_narrow_table_leaves_out_what_the_totals_say(tmp_path: Path) -> None:
    for seed, status in enumerate(["finished", "diverged", "failed", "refused", "interrupted"]):
        write(tmp_path, "kaiming_normal", seed, status)
    with lock(write(tmp_path, "kaiming_normal", 9, "running")):
        summary = look(tmp_path)
    wide, narrow = text(summary, 120), text(summary, 70)
    assert "│ kaiming_normal │" in wide
    assert "┃ refused ┃" in wide
    assert "┃ refused ┃" not in narrow
    assert "┃ failed ┃" in narrow
    assert "│ kaiming" in narrow
    assert "1 refused" in narrow


@pytest.mark.parametrize("height", [10, 24, 40, 100, 200])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_glance_is_never_higher_than_the_terminal(busy: Path, height: int, width: int) -> None:
    running = [write(busy, f"running{seed}", seed, "running") for seed in range(12)]
    with ExitStack() as held:
        for folder in running:
            held.enter_context(lock(folder))
        summary = look(busy)
    lines = text(summary, width, height).splitlines()
    assert len(lines) <= height
    assert "12 running" in " ".join(lines)
    rows = sum(line.startswith("│") for line in lines)
    left_out = f"and {72 - rows} more rows"
    assert (left_out in lines) == (rows < 72)
    assert rows == 72 or height < 200


@pytest.mark.parametrize(
    "seconds, words",
    [(-1, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (93600, "1 d 2 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
