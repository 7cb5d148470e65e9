"""What becomes of a program whose output nobody reads, or whose terminal knows no more than ASCII."""

# ruff: noqa: RUF001 - ambiguous letters are what some of it is about

import os
import subprocess
import sys
from pathlib import Path

import pytest
from frames import record
from programs import FAST, run
from studies import write_study

import initbench

# Prints as much as no pipe holds, amid a run.
LOUD = "def loud_(tensor, layer, generator):\n    tensor.zero_()\n    print('x' * 200_000)\n"


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which `initbench` is the program and `ib` one of its modules; exits as the program does."""
    functions = f'initbench() {{ {sys.executable} -m initbench "$@"; }}; ib() {{ {sys.executable} -m initbench."$@"; }}'
    return run(folder, ["bash", "-c", f"{functions}; {line}; exit ${{PIPESTATUS[0]}}"], **environment)


@pytest.mark.parametrize(
    "how",
    [
        "| true",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("2>&1 | head -c 10", ">/dev/full")),
        ">&- 2>/dev/full",
    ],
)
def test_a_run_whose_output_goes_nowhere_is_finished(how: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOUD)
    done = shell(tmp_path, f"initbench {' '.join(FAST)} init._target_=mine.loud_ {how}")
    assert done.returncode == 0, done.stderr
    assert initbench.load_runs(tmp_path / "runs")["status"].tolist() == ["finished"]
    assert "Traceback" not in done.stderr
    full = "initbench: standard output cannot be written: No space left on device\n"
    assert done.stderr == (full if how == ">/dev/full" else "")


def test_a_sweep_whose_reader_has_left_goes_on(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOUD)
    swept = "-m hydra/launcher=local hydra.launcher.slots=1 seed=0,1,2 init._target_=mine.loud_"
    done = shell(tmp_path, f"initbench {' '.join(FAST)} {swept} | head -1")
    assert done.returncode == 0, done.stderr
    assert initbench.load_runs(tmp_path / "runs")["status"].tolist() == ["finished"] * 3
    assert (tmp_path / "runs" / "main" / "report" / "index.html").exists()


def test_nothing_is_printed_into_the_files_of_a_run_whose_streams_are_closed(tmp_path: Path) -> None:
    printing = "import os\ndef loud_(tensor, layer, generator):\n    tensor.zero_()\n    os.system('echo printed')\n"
    (tmp_path / "mine.py").write_text(printing)
    shell(tmp_path, f"initbench {' '.join(FAST)} init._target_=mine.loud_ 0>&- >&- 2>&-")
    assert initbench.load_runs(tmp_path / "runs")["status"].tolist() == ["finished"]
    files = [path for path in tmp_path.glob("runs/main/*/*") if path.is_file()]
    assert files
    assert not [path for path in files if b"printed" in path.read_bytes()]


@pytest.mark.parametrize("typed", ["ib status s --json", "ib report s", "ib init", "initbench --help"])
def test_a_reader_who_has_seen_enough_is_no_error_and_a_full_disk_is_one(typed: str, tmp_path: Path) -> None:
    write_study(tmp_path / "s", *(record(init, n) for init in "ab" for n in range(3)))
    done = shell(tmp_path, f"{typed} | true")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(tmp_path, f"{typed} >/dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "initbench: standard output cannot be written: No space left on device\n",
    )


def test_a_pipe_that_somebody_has_made_non_blocking_takes_everything(tmp_path: Path) -> None:
    code = (
        "import os, sys; from initbench import streams; os.set_blocking(1, False); streams.protect()\n"
        "for _ in range(3): print('x' * 200_000)\n"
        "sys.stdout.flush()"
    )
    done = shell(tmp_path, f'{sys.executable} -c "{code}" | (sleep 1; wc -c)')
    assert done.stdout.strip() == "600003", done.stderr


ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_run_in_an_ascii_locale_is_finished_and_readable(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import warnings\n"
        "def small_(tensor, layer, generator, *, ß):\n"
        "    warnings.warn('ß is small, a ± b')\n"
        "    tensor.normal_(0, ß)\n",
        encoding="utf-8",
    )
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "klein.yaml").write_text(
        "# für Übungen\n_target_: mine.small_\nß: 0.01\n", encoding="utf-8"
    )
    swept = "-m hydra.launcher.slots=1 init=klein,zeros seed=0,1,2 print_init=true"
    line = f"initbench {' '.join(FAST)} --config-dir conf {swept}"
    environment = {**ASCII, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = shell(tmp_path, line, **environment)
    assert done.returncode == 0, done.stderr
    assert set(initbench.load_runs(tmp_path / "runs")["status"]) == {"finished"}
    assert done.stdout.isascii()
    assert "\\x" not in done.stdout
    for typed in ("ib status runs/main", "ib report runs/main", "ib init", "ib init klein --config-dir conf"):
        shown = shell(tmp_path, typed, **environment)
        assert (shown.returncode, shown.stderr) == (0, ""), typed
        assert shown.stdout.isascii()
        assert "\\x" not in shown.stdout


def test_characters_that_ascii_lacks_are_shown_by_their_nearest(tmp_path: Path) -> None:
    code = "from initbench import streams; streams.protect(); print('± 0.1 … é × 2, 1 ≤ a → b – “c” 中')"
    done = shell(tmp_path, f'{sys.executable} -c "{code}"', **ASCII | {"PYTHONUTF8": "1"})
    assert done.stdout == '+- 0.1 ... e x 2, 1 <= a -> b - "c" \\u4e2d\n'
