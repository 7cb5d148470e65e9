"""What is wrong with a command line, or with its terminal, is one line."""

import os
import subprocess
import sys
from pathlib import Path

import forking
import pytest
from frames import record
from studies import write_study


def run(module: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return forking.run(folder, [sys.executable, "-m", module, *arguments])


@pytest.mark.parametrize(
    "module, arguments, words",
    [
        ("initbench.report", [], "the following arguments are required: runs/STUDY"),
        ("initbench.report", ["s", "--marign", "1"], "unrecognized arguments: --marign 1"),
        ("initbench.report", ["s", "--margin", "wide"], "argument --margin: invalid float value: 'wide'"),
        ("initbench.report", ["s", "--output", ""], "argument --output: a path is empty"),
        ("initbench.report", [""], "argument runs/STUDY: a path is empty"),
        ("initbench.status", [], "the following arguments are required: runs/STUDY"),
        ("initbench.status", ["s", "--json", "--watch"], "--json and --watch cannot be combined"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(module: str, arguments: list[str], words: str, tmp_path: Path) -> None:
    write_study(tmp_path / "s", record("a", 0))
    done = run(module, *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"initbench: {words}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "raised, code, said",
    [
        ("ValueError('two\\nlines')", 2, "initbench: two lines\n"),
        ("FileNotFoundError(2, 'No such file', 'x')", 2, "initbench: [Errno 2] No such file: 'x'\n"),
        ("PermissionError(13, 'Permission denied', 'x')", 2, "initbench: [Errno 13] Permission denied: 'x'\n"),
        ("KeyboardInterrupt()", 130, "initbench: stopped\n"),
        ("KeyError('x')", 1, "KeyError: 'x'\n"),
    ],
)
def test_what_a_program_raises_decides_its_exit_code(raised: str, code: int, said: str, tmp_path: Path) -> None:
    program = f"from initbench.command_line import run\ndef main(_):\n    raise {raised}\nrun(main)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert done.stderr.startswith("Traceback" if code == 1 else said)


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    write_study(tmp_path / "s", *(record(init, n) for init in "ab" for n in range(3)))
    for arguments in (["initbench.report", "s", "--json"], ["initbench.status", "s"]):
        typed = [sys.executable, "-m", *arguments]
        with subprocess.Popen(typed, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            program.stdout.close()
            said = program.stderr.read().decode()
        assert "Traceback" not in said
        assert "BrokenPipe" not in said


def test_a_terminal_without_the_letters_still_gets_the_names(tmp_path: Path) -> None:
    write_study(tmp_path / "s", *(record(init, n) for init in ("中", ":smile:") for n in range(3)))
    done = subprocess.run(
        [sys.executable, "-m", "initbench.report", "s"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "\\u4e2d" in done.stdout
    assert ":smile:" in done.stdout
