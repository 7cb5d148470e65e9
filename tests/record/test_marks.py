"""The mark of a run whose loggers are still to be told, and the id of the sweep that a process works for."""

import os
from pathlib import Path

import pytest

from initbench.errors import Unwritable
from initbench.record import untold
from initbench.record.sweep_id import SWEEP_VARIABLE, begin_sweep, sweep_id


def test_whoever_takes_the_mark_first_is_the_one_to_tell(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not untold.is_marked(run)
    assert not untold.take(run)
    untold.mark(run)
    assert untold.is_marked(run)
    assert [untold.take(run), untold.take(run)] == [True, False]
    assert not untold.is_marked(run)


def test_a_mark_that_cannot_be_taken_is_said(tmp_path: Path) -> None:
    (tmp_path / "untold").mkdir()
    with pytest.raises(Unwritable, match="untold cannot be written"):
        untold.take(tmp_path)


def test_each_sweep_has_an_id_of_its_own_which_its_processes_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "")
    assert sweep_id() is None
    first = begin_sweep()
    assert sweep_id() == os.environ[SWEEP_VARIABLE] == first
    second = begin_sweep()
    assert sweep_id() == second != first
    monkeypatch.delenv(SWEEP_VARIABLE)
    assert sweep_id() is None
