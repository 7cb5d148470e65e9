"""How a study looks in a terminal."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from looking import look, text
from records import folder_name, write, write_plan

from initbench.record.lock import lock
from initbench.wording import about, duration


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
    for head in ("val median", "val best", "finished", "diverged", "failed"):
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
    rows = sum(bool(re.match(r"(│ )?(orthogonal\(gain=|running\d)", line)) for line in lines)
    left_out = f"and {72 - rows} more rows"
    assert (left_out in lines) == (rows < 72)
    assert rows == 72 or height < 200 or width < 120


@pytest.mark.parametrize("width", [20, 40, 60])
def test_in_a_narrow_terminal_names_are_broken_over_lines_and_nothing_is_cut_off(width: int, tmp_path: Path) -> None:
    long = "orthogonal(gain=1.5,bias.weight=kaiming_normal)"
    for seed, status in enumerate(["finished", "diverged", "failed"]):
        write(tmp_path, long, seed, status, reason="RuntimeError: a reason" if status == "failed" else None)
    with lock(write(tmp_path, long, 9, "running")):
        shown = text(look(tmp_path), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    joined = re.sub(r"[\s│]", "", shown)
    assert long in joined
    assert f"lenet-mnist-{long}-seed9" in joined or width > 20  # where cells stand beside its parts
    for part in ("valmedian", "0.9000", "finished", "diverged", "failed", "RuntimeError:areason"):
        assert part in joined


def test_a_bar_shows_how_much_of_the_sweep_is_done(tmp_path: Path) -> None:
    """Half of the runs have ended, and a running one is half done."""
    write(tmp_path, "zeros", 0)
    write(tmp_path, "zeros", 1, "failed")
    running = write(tmp_path, "zeros", 2, "running", total_steps=100)
    pd.DataFrame({"step": [50]}).to_parquet(running / "history.parquet")
    write_plan(tmp_path, *(folder_name("zeros", seed) for seed in range(4)))
    with lock(running):
        lines = text(look(tmp_path)).splitlines()
    (line,) = (line for line in lines if "2 of 4 runs done" in line)
    assert line.partition(" ")[0] == "━" * 15  # of 24
    assert line.index("2 of 4") == 25


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "about 1 s"),
        (12.4, "about 12 s"),
        (59.6, "about 1 min"),
        (3000, "about 50 min"),
        (3599, "about 1 h"),
        (8000, "about 2 h 10 min"),
        (90000, "about 1 d 1 h"),
    ],
)
def test_estimates_are_rounded(seconds: float, words: str) -> None:
    assert about(seconds) == words


@pytest.mark.parametrize(
    "seconds, words",
    [(-1, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (93600, "1 d 2 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


RACE = {
    "workload": "",
    "seeds": 5,
    "most_seeds": 30,
    "inside": ["orthogonal", "lsuv"],
    "out": {"zeros": 5},
    "best": "lsuv",
    "leads": {"orthogonal": ["0.31 points", "0.90 points"]},
    "saved": 0,
    "is_over": False,
}


@pytest.mark.parametrize(
    "changes, said, not_said",
    [
        ({}, ["in the race after 5 seeds", "0.31 points", "race: 2 of 3 are in; out: zeros after 5"], "over"),
        (
            {"workload": "mlp on mnist"},
            ["in the race on mlp on mnist after 5 seeds", "race on mlp on mnist: 2 of 3"],
            "over",
        ),
        (
            {"is_over": True, "seeds": 9, "leads": {}, "saved": 4},
            ["race: over after 9 seeds; left: orthogonal, lsuv; out: zeros after 5; 4 runs saved"],
            "in the race",
        ),
        ({"seeds": 0, "best": None}, ["race: nothing is decided before the first round has ended"], "over"),
        (
            {"seeds": 0, "best": None, "is_over": True, "inside": ["lsuv"], "out": {}},
            ["race: there is none, as fewer than two initializers can take part"],
            "before the first round",
        ),
    ],
)
def test_a_race_shows_who_is_in_or_that_it_is_over(
    changes: dict[str, Any], said: list[str], not_said: str, tmp_path: Path
) -> None:
    write(tmp_path, "lsuv")
    write_plan(tmp_path, folder_name("lsuv"), race=[{**RACE, **changes}])
    shown = text(look(tmp_path), width=100)
    assert all(line in shown for line in said)
    assert not_said not in shown
