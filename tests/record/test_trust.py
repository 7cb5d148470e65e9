"""Nothing that a study of somebody else's holds is executed, or imported, by those who only read it."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from frames import record
from pyarrow import parquet

from initbench.record.store import write_record

# Python says of every object that pickle looks up, and every module that is imported.
READ = """
import runpy, sys

def watch(event, arguments):
    if event == "pickle.find_class" or (event == "import" and arguments[0] == "theirs"):
        print("EXECUTED", event, arguments, file=sys.stderr)

module, study = sys.argv[1:]
sys.addaudithook(watch)
if module == "load_runs":
    import initbench
    print(len(initbench.load_runs(study)))
else:
    sys.argv = [module, study]
    runpy.run_module(module, run_name="__main__")
"""


class Executed:
    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def foreign_study(study: Path) -> None:
    """Configs that name their own code, pickles wherever one may lie, and a table of a type that once was a pickle."""
    (study.parent / "theirs.py").write_text('import os; os.mkdir("executed")')
    bomb = pickle.dumps(Executed())
    for init in ("a", "b"):
        for seed in range(3):
            made = record(init, seed, 0.7 + seed / 100)
            for group in ("init", "model", "data", "optimizer"):
                made["config"][group]["_target_"] = "theirs.function"
            folder = study / f"{init}{seed}"
            write_record(folder, made)
            for name in ("checkpoint.ckpt", "layers.parquet", "parameters.parquet", "cache.npy"):
                (folder / name).write_bytes(bomb)
            metadata = {
                b"ARROW:extension:name": b"arrow.py_extension_type",
                b"ARROW:extension:metadata": bomb,
            }
            field = pa.field("step", pa.int64(), metadata=metadata)
            columns = {"seconds": [0.0], "val/accuracy": [0.5], "val/loss": [1.0], "train/loss": [1.0]}
            fields = [field, *(pa.field(name, pa.float64()) for name in columns)]
            table = pa.table([[0], *columns.values()], schema=pa.schema(fields, metadata={b"pandas": bomb}))
            parquet.write_table(table, folder / "history.parquet")
    for name in (".packs/0.ckpt", ".packs/0.json", ".sweep/plan.json", ".sweep/signatures.json", "slurm/1_run0.pkl"):
        (study / name).parent.mkdir(exist_ok=True)
        (study / name).write_bytes(bomb)


def test_reading_executes_nothing(tmp_path: Path) -> None:
    foreign_study(tmp_path / "study")
    for module in ("load_runs", "initbench.status", "initbench.report"):
        done = subprocess.run(
            [sys.executable, "-c", READ, module, "study"], cwd=tmp_path, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        assert "EXECUTED" not in done.stderr
        assert not (tmp_path / "executed").exists()
