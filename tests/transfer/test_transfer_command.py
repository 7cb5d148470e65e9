"""What the command makes of its sweeps, which leave the records of small networks with planted best rates."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from frames import record
from records import write_plan

from initbench.record.store import write_record
from initbench.transfer.__main__ import EXTENSIONS, Training, main
from initbench.transfer.asked import parse

LINE = [*("init=zeros", "model=mlp", "axis=width", "values=8,16", "optimizer.lr=0.1,0.2,0.4", "seed=range(5)")]


class Sweeps:
    """Sweeps that end with given codes, then with 0; the best rate is planted. lines: what was asked of them."""

    def __init__(self, codes: Iterable[int], best: float) -> None:
        self.codes: Iterator[int] = iter(codes)
        self.best = best
        self.rates: list[list[float]] = []
        self.studies: list[str] = []

    def __call__(self, line: list[str]) -> int:
        typed = dict(word.split("=", 1) for word in line)
        rates = [float(rate) for rate in typed["optimizer.lr"].split(",")]
        self.rates.append(rates)
        self.studies.append(typed["study"])
        if typed["study"] != "transfer":
            return next(self.codes, 0)
        study, names = Path("runs", "transfer"), []
        for rate in rates:
            for width in (8, 16):
                for seed in range(5):
                    score = 0.9 - 0.002 * math.log2(rate / self.best) ** 2 + seed / 1000
                    made = record("zeros", seed, score, lr=rate, model={"width": width})
                    names.append(f"{rate:g}-{width}-{seed}")
                    write_record(study / names[-1], made)
        write_plan(study, *names)
        return next(self.codes, 0)


@pytest.fixture
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Sweeps:
    monkeypatch.chdir(tmp_path)
    codes, best = request.param
    made = Sweeps(codes, best)
    monkeypatch.setattr("initbench.transfer.__main__.sweep", made)
    monkeypatch.setattr("initbench.transfer.__main__.draw", lambda *_: None)  # see test_transfer_figure.py
    return made


@pytest.mark.parametrize("sweeps", [([1, 0, 0], 0.4), ([0, 1, 0], 0.4), ([0, 0, 1], 0.4)], indirect=True)
def test_it_exits_with_1_if_runs_of_any_sweep_failed_and_says_the_verdict_all_the_same(
    sweeps: Sweeps, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(LINE)
    assert ended.value.code == 1
    assert sweeps.studies == ["transfer", "transfer", "transfer_check"]
    assert sweeps.rates == [[0.1, 0.2, 0.4], [0.8], [0.4]]
    said = capsys.readouterr().out
    assert "A best rate is at the edge of those that were tried; trying 0.8 too." in said
    assert "zeros: the best learning rate transfers along width: it changes by " in said
    assert said.count("0.4 (0.4 to 0.4)") == 2


@pytest.mark.parametrize("sweeps", [([], 1e-6)], indirect=True)
def test_the_grid_is_extended_a_few_times_and_then_left_open(
    sweeps: Sweeps, capsys: pytest.CaptureFixture[str]
) -> None:
    main(LINE)  # without a failure it just ends
    assert sweeps.rates[1:-1] == [[0.05], [0.025], [0.0125], [0.00625]]
    assert len(sweeps.rates) == 2 + EXTENSIONS
    assert "at 8, 16 it is at the edge of the rates that were tried, 0.00625 to 0.4." in capsys.readouterr().out


@pytest.mark.parametrize("sweeps", [([0, 130], 0.4)], indirect=True)
def test_a_sweep_that_was_stopped_ends_the_command(sweeps: Sweeps) -> None:
    with pytest.raises(SystemExit) as ended:
        main(LINE)
    assert ended.value.code == 130
    assert len(sweeps.rates) == 2


@pytest.mark.parametrize("sweeps", [([], 0.2)], indirect=True)
def test_runs_count_that_any_sweep_of_the_command_planned_and_no_others(sweeps: Sweeps) -> None:
    training = Training(parse(LINE))
    training.sweep([0.05, 0.1])
    training.sweep([0.2, 0.4])
    sweeps([*LINE[:3], "optimizer.lr=0.8", "study=transfer"])  # by another command
    (scores,) = training.scores()
    assert scores.rates == (0.05, 0.1, 0.2, 0.4)
