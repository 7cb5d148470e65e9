"""What the command makes of its sweeps, which leave the records of small networks with planted best rates."""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from frames import record
from records import write_plan

from initbench.record.plans import Plan, add_plan
from initbench.record.store import write_record
from initbench.transfer.__main__ import EXTENSIONS, Training, main, show
from initbench.transfer.asked import parse
from initbench.transfer.best_rate import Scores
from initbench.transfer.drift import Drift

LINE = [*("init=zeros", "model=mlp", "axis=width", "values=8,16", "optimizer.lr=0.1,0.2,0.4", "seed=range(5)")]


class Sweeps:
    """Sweeps that end with given codes, then with 0; the best rate is planted. lines: what was asked of them."""

    def __init__(self, codes: Iterable[int], best: float) -> None:
        self.codes: Iterator[int] = iter(codes)
        self.best = best
        self.rates: list[list[float]] = []
        self.studies: list[str] = []
        self.noise = 0.0
        self.others: dict[str, float] = {}  # other initializers, with their best rates

    def __call__(self, line: list[str]) -> int:
        typed = dict(word.split("=", 1) for word in line)
        rates = [float(rate) for rate in typed["optimizer.lr"].split(",")]
        self.rates.append(rates)
        self.studies.append(typed["study"])
        if typed["study"] != "transfer":
            return next(self.codes, 0)
        study, names = Path("runs", "transfer"), []
        cells = product({"zeros": self.best, **self.others}.items(), rates, (8, 16), range(5))
        for (init, best), rate, width, seed in cells:
            score = 0.9 - 0.002 * math.log2(rate / best) ** 2 + seed / 1000
            score += self.noise * math.sin(seed * width / rate)
            made = record(init, seed, score, lr=rate, model={"width": width})
            names.append(f"{init}-{rate:g}-{width}-{seed}")
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


def test_a_best_rate_is_shown_with_its_interval_from_low_to_high(capsys: pytest.CaptureFixture[str]) -> None:
    scores = Scores("zeros", (8.0, 16.0), (0.1, 0.2, 0.4), np.zeros((5, 2, 3)), (), np.zeros((2, 3), dtype=bool))
    scores.scores[..., 1] = 1
    best = np.array([-2.0, -3.0])
    show(parse(LINE), [Drift(scores, best, best - 1, best + 2, -1.0, -1.5, -0.5)], 0.025)
    said = capsys.readouterr().out
    table = next(line for line in said.splitlines() if line.split()[:1] == ["zeros"])
    assert table.split() == ["zeros", "0.25", "(0.125", "to", "1)", "0.125", "(0.0625", "to", "0.5)"]
    assert "with 97.5% confidence" in said
    unknown = np.full(2, math.nan)
    show(parse(LINE), [Drift(scores, best, unknown, unknown, -1.0, math.nan, math.nan)], 0.025)
    said = capsys.readouterr().out
    assert next(line for line in said.splitlines() if line.split()[:1] == ["zeros"]).split() == [
        "zeros",
        "0.25",
        "0.125",
    ]
    assert "confidence" not in said


@pytest.mark.parametrize("sweeps", [([], 0.2)], indirect=True)
def test_the_level_is_halved_for_seeds_that_were_added_to_what_was_seen(
    sweeps: Sweeps, capsys: pytest.CaptureFixture[str]
) -> None:
    def interval() -> tuple[float, float]:
        text = capsys.readouterr().out
        assert f"with {confidence}% confidence" in text
        low, high = re.search(r"octaves per doubling(?:, but anything from | \()(\S+) to ([-+.\d]+)", text).groups()
        return float(low), float(high)

    sweeps.noise, confidence = 0.001, "95"
    main(LINE)
    before = interval()
    for seeds, ended in (((0,), 0), ((0, 1), 4), ((0, 1, 2), 8)):
        add_plan(Path("runs", "transfer"), Plan(("x", "y"), ("w",), seeds, (), None, None), ended)
    main(LINE)
    confidence = "98.8"  # 1 - 0.05 / 4
    low, high = interval()
    assert low < before[0] < before[1] < high
    assert sweeps.studies.count("transfer_check") == 2


@pytest.mark.parametrize("sweeps", [([], 0.2)], indirect=True)
def test_the_grid_is_extended_for_each_initializer(sweeps: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps.others = {"high": 0.5, "low": 0.08}
    main(LINE)
    assert sweeps.rates[1:-1] == [[0.05, 0.8]]
    said = capsys.readouterr().out
    assert "trying 0.05, 0.8 too." in said
    for init, best in (("zeros", "0.2"), ("high", "0.5"), ("low", "0.08")):
        line = next(line for line in said.splitlines() if line.split()[:1] == [init])
        assert line.split()[1] == best
