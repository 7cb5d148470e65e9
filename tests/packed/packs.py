"""Runs for packs, what a launcher does with them in one slot, and their twins that are trained by themselves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from configs import compose_config

from initbench.packed.files import clear
from initbench.packed.plan import Alone, Together, plan
from initbench.packed.telling import tell
from initbench.packed.train import train_pack
from initbench.record.samples import read_outputs, read_test_samples
from initbench.record.store import Store, read_table
from initbench.training.run import run

# The fields of a record that differ from one time to the next, such as how long it took.
OF_THE_MOMENT = {"started_at", "finished_at", "provenance", "config", "replicas"}
ALONE = {
    "rnn": "torch.func.vmap does not support RNN",
    "lstm": "torch.func.vmap does not support LSTM",
    "gru": "torch.func.vmap does not support GRU",
}
LIBRARIES = ("timm", "torchvision", "transformers")


def train_packs(configs: list[dict[str, Any]], most: int) -> dict[Path, dict[str, Any]]:
    """What a launcher does in one slot; prints why runs are left."""
    records: dict[Path, dict[str, Any]] = {}
    stores = [Store(config) for config in configs]
    for study in {store.folder.parent for store in stores}:
        clear(study)
    for decision in plan(stores, slots=1, most=most):
        if isinstance(decision, Alone):
            print("alone:", decision.why)
            continue
        assert isinstance(decision, Together)
        waiting = list(decision.packs)
        while waiting:
            pack = waiting.pop(0)
            outcome = train_pack([store.config for store in pack])
            for store in pack:
                tell(store.config)
            for reason in outcome.alone.values():
                print("alone:", reason)
            study = pack[0].folder.parent
            records.update({study / name: record for name, record in outcome.records.items()})
            for names in outcome.too_large:
                print(f"too large: {len(names)}")
                large = [store for store in pack if store.folder.name in names]
                waiting += [large[: len(large) // 2], large[len(large) // 2 :]]
    return records


def configs(
    folder: Path,
    *overrides: str,
    inits: tuple[str, ...] = ("kaiming_normal", "default"),
    seeds: int = 2,
    rates: tuple[float | None, ...] = (None,),
) -> Any:
    fixed = ["logger=none", "trainer.accelerator=cpu", "trainer.precision=64-true", f"runs_dir={folder}"]
    short = ["trainer.max_steps=8", "trainer.log_every_n_steps=3", "data.val_every_n_steps=4", "data.batch_size=16"]
    words = {word.partition("=")[0]: word for word in [*fixed, *short, *overrides]}
    return [
        compose_config(*words.values(), *([f"optimizer.lr={rate}"] if rate else []), f"init={init}", f"seed={seed}")
        for rate in rates
        for init in inits
        for seed in range(seeds)
    ]


def compare(
    packed: dict[str, Any],
    serial: dict[str, Any],
    folders: tuple[Path, Path],
    within: float = 1e-10,
    relative: float = 0.0,
) -> None:
    assert {*packed} == {*serial}
    for key in {*serial} - OF_THE_MOMENT:
        if not key.startswith("seconds"):
            assert _rounded(packed[key]) == _rounded(serial[key]), key
    ours, theirs = (pd.read_parquet(folder / "history.parquet").drop(columns="seconds") for folder in folders)
    pd.testing.assert_frame_equal(ours, theirs, rtol=relative, atol=within)
    ours, theirs = (pd.read_parquet(folder / "parameters.parquet") for folder in folders)
    pd.testing.assert_frame_equal(ours, theirs)
    ours, theirs = (read_table(folder, "layers") for folder in folders)
    assert (ours is None) == (theirs is None) == (serial["diagnostics"]["steps"] == [])
    if theirs is not None:
        pd.testing.assert_frame_equal(ours.to_pandas(), theirs.to_pandas(), rtol=1e-3, atol=1e-6)  # of float32
    ours, theirs = (read_test_samples(folder) for folder in folders)
    assert (ours is None) == (theirs is None) == (serial["status"] == "diverged")
    if theirs is not None:
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)  # of float16
    ours, theirs = (read_outputs(folder) for folder in folders)
    assert (ours is None) == (theirs is None)
    if theirs is not None:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)  # of float32


def _rounded(value: Any) -> Any:
    """Without what takes seconds: times to targets have some."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items() if not str(key).startswith("seconds")}
    return round(value, 9) if isinstance(value, float) else value


def twins(tmp_path: Path, *overrides: str, relative: float = 0.0, **kwargs: Any) -> list[dict[str, Any]]:
    """Train in a pack and one by one, and compare; the records of the pack."""
    records = train_packs(configs(tmp_path / "packed", *overrides, **kwargs), most=64)
    alone = configs(tmp_path / "serial", *overrides, **kwargs)
    assert len(records) == len(alone)
    for config in alone:
        folder = Store(config).folder
        serial = run(config)
        assert serial is not None
        twin = tmp_path / "packed" / folder.relative_to(tmp_path / "serial")
        compare(
            json.loads((twin / "record.json").read_text()),
            json.loads((folder / "record.json").read_text()),
            (twin, folder),
            relative=relative,
        )
    return list(records.values())


def exploding(folder: Path, *overrides: str) -> Any:
    """Weights that are no number after a step."""
    return configs(folder, *overrides, "init.std=1e30", inits=("normal",), seeds=1)
