"""`python -m initbench.status`, as people type it."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from programs import in_terminal
from records import folder_name, record, write, write_plan

from initbench.record.lock import lock

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "initbench.status", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_shows_it_and_imports_nothing_heavy(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    study = tmp_path / "runs" / "mine"
    write(study, "zeros")
    folder = write(study, "ones", status="running")
    parquet.write_table(pa.table({"step": [1]}), folder / "history.parquet")
    code = (
        "import sys, runpy; sys.argv = ['status', 'runs/mine']\n"
        "heavy = ('torch', 'pandas', 'lightning', 'hydra', 'scipy', 'pydantic')\n"
        "runpy.run_module('initbench.status', run_name='__main__')\n"
        "print('HEAVY', [name for name in heavy if name in sys.modules])\n"
    )
    with lock(folder):
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
    assert "2 runs: 1 finished, 1 running" in found.stdout
    assert found.stdout.splitlines()[-1] == "HEAVY []"


def test_a_study_that_is_none_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "depth")
    write_plan(tmp_path / "runs" / "width", folder_name())
    (tmp_path / "runs" / "empty").mkdir()
    there = "There are: runs/depth, runs/width"
    for asked, message in (
        ("runs/dept", f"there is no study 'runs/dept'. Did you mean 'runs/depth'? {there}"),
        ("width", f"there is no study 'width'. Did you mean 'runs/width'? {there}"),
        ("runs/empty", "there is no study 'runs/empty'."),
        ("", "argument runs/STUDY: a path is empty"),
        ("~nobody_here/runs", "argument runs/STUDY: ~nobody_here/runs: "),
        ("runs", "runs holds studies, not runs; name one of them: runs/depth, runs/width"),
    ):
        found = command(tmp_path, asked)
        assert found.returncode == 2
        assert found.stderr.startswith(f"initbench: {message}")
        assert len(found.stderr.splitlines()) == 1
    begun = command(tmp_path, "runs/width")
    assert begun.returncode == 0
    assert "1 run waiting" in begun.stdout


def test_watching_ends_when_all_is_over_and_leaves_the_terminal_clean(tmp_path: Path) -> None:
    write(tmp_path / "runs" / "mine", "zeros")
    write_plan(tmp_path / "runs" / "mine", folder_name("zeros"))
    code, shown = in_terminal(tmp_path, [sys.executable, "-m", "initbench.status", "runs/mine", "--watch"], ENVIRONMENT)
    assert code == 0
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")  # the cursor is back
    assert "zeros" in shown.decode()


def test_five_thousand_records_take_less_than_three_seconds(tmp_path: Path) -> None:
    for index in range(5000):
        folder = tmp_path / "runs" / "many" / f"run{index}"
        folder.mkdir(parents=True)
        padding = {f"key{number}": {"name": "value", "number": number} for number in range(60)}  # as large as real ones
        made = record(f"init{index % 40}", index // 40, padding=padding)
        (folder / "record.json").write_text(json.dumps(made, indent=1))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = command(tmp_path, "runs/many")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "5000 runs finished" in found.stdout
    # Seconds of the processor: others may be using it too.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    study = tmp_path / "runs" / "mine"
    write(study, "zeros", best=0.25)
    write(study, "ones", status="failed", reason="why")
    write_plan(study, folder_name("zeros"), "one-that-waits")
    done = command(tmp_path, "runs/mine", "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["counts"] == {"finished": 1, "failed": 1, "waiting": 1}
    assert content["planned"] == 2
    rows = {row["init"]: row for setting in content["settings"] for row in setting["rows"]}
    assert rows["zeros"] == {"init": "zeros", "median": 0.25, "best": 0.25, "counts": {"finished": 1}}
    assert content["troubles"][0]["reason"] == "why"
    refused = command(tmp_path, "runs/mine", "--json", "--watch")
    assert (refused.returncode, refused.stderr) == (2, "initbench: --json and --watch cannot be combined\n")
