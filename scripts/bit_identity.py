"""The results of ten small sweeps with different engines, bit for bit: run it in two checkouts and compare.

    python scripts/bit_identity.py ../before before.json
    python scripts/bit_identity.py . after.json
    python scripts/bit_identity.py --compare before.json after.json

Use it for a change that should not change any number. It uses only the command line and record.json, so the checkouts
may differ in everything else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_SHORT = ["trainer.max_steps=60", "data.val_every_n_steps=20", "logger=none"]
_NO_PACKS = "hydra/launcher=basic"
SWEEPS: dict[str, list[str]] = {
    "one run": ["model=lenet", _NO_PACKS, "seed=0,1"],
    "workers": ["model=vit", "model.depth=2", "hydra/launcher=local", "init=vit,default"],
    "pack side by side": ["model=lenet", "init=default,orthogonal,kaiming_normal", "seed=0,1", "hydra/launcher=packed"],
    "pack with dropout": [
        *["model=mlp", "model.depth=4", "model.width=64", "model.dropout=0.2", "optimizer=sgd"],
        *["optimizer.lr=0.02,0.05", "seed=0,1", "hydra/launcher=packed", "trainer.gradient_clip_val=1"],
    ],
    "pack with batch norm": ["model=resnet20", "init=default,fixup", "seed=0,1", "hydra/launcher=packed"],
    "pack that diverges": ["model=mlp", "optimizer=sgd", "optimizer.lr=1e30,0.05", "hydra/launcher=packed", "seed=0,1"],
    "two processes": ["model=lenet", "trainer.devices=2", "trainer.accelerator=cpu", _NO_PACKS, "init=lsuv"],
    "double precision": [
        "model=plain_cnn",
        "model.depth=3",
        "model.width=8",
        "trainer.precision=64-true",
        "data.flip=true",
        _NO_PACKS,
    ],
    "recurrent, smoothed": ["model=lstm", "task.label_smoothing=0.1", "init=chrono", _NO_PACKS],
    "diagnosed": ["model=resnet20", "diagnostics=schedule", "data.crop_padding=2", "data.cutout=4", _NO_PACKS],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compare", action="store_true", help="compare two files that were written before")
    parser.add_argument("paths", nargs=2, type=Path, metavar="PATH", help="a checkout and a file, or two files")
    asked = parser.parse_args()
    if asked.compare:
        sys.exit(compare(*(json.loads(path.read_text()) for path in asked.paths)))
    asked.paths[1].write_text(json.dumps(measure(asked.paths[0].resolve()), indent=1, sort_keys=True))


def measure(checkout: Path) -> dict[str, object]:
    """By sweep and run: status, reason, initial weights and all numbers but times."""
    found: dict[str, object] = {}
    for name, overrides in SWEEPS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "initbench", "-m", *overrides, *_SHORT, f"runs_dir={folder}", "study=s"]
            environment = {**os.environ, "PYTHONPATH": str(checkout)}
            subprocess.run(command, cwd=checkout, env=environment, capture_output=True, check=False)
            for path in sorted(Path(folder, "s").glob("*/record.json")):
                record = json.loads(path.read_text())
                steps = {target: time["steps"] for target, time in record.get("targets", {}).items()}
                kept = {key: record.get(key) for key in ("status", "reason", "initial_weights", "results", "steps")}
                found[f"{name}: {record['name']}, lr {record['config']['optimizer']['lr']}"] = {**kept, "at": steps}
    return found


def compare(before: dict[str, object], after: dict[str, object]) -> int:
    """The number of runs that differ or are in one file only; each is printed."""
    differ = [run for run in sorted(before.keys() | after.keys()) if before.get(run) != after.get(run)]
    for run in differ:
        print(f"{run}\n  {before.get(run)}\n  {after.get(run)}")
    print(f"{len(before.keys() | after.keys())} runs, {len(differ)} differ")
    return len(differ)


if __name__ == "__main__":
    main()
