"""Which runs make which pack, on disk from the moment that it is decided: a pack that is begun again is the same."""

import json
from collections.abc import Sequence
from pathlib import Path

from initbench.packed.grouping import Config, arrange
from initbench.record.lock import is_held
from initbench.record.signature import digest
from initbench.record.store import COMPLETE, Store, atomic_write, read_record


def checkpoint_of(folders: Sequence[Path]) -> Path:
    """`<study>/.packs/<digest>.ckpt`, of a pack of these runs in this order; its roster is beside it."""
    return folders[0].parent / ".packs" / f"{digest({'runs': [folder.name for folder in folders]})}.ckpt"


def write(folders: Sequence[Path], slots: int | None) -> None:
    """`slots`: of the sweep that decides it, as with another number packs would be others; None where none did."""
    content = {"runs": [folder.name for folder in folders], "slots": slots}
    atomic_write(_roster(checkpoint_of(folders)), json.dumps(content).encode())


def is_written(folders: Sequence[Path]) -> bool:
    return _roster(checkpoint_of(folders)).exists()


def remove(folders: Sequence[Path]) -> None:
    """With its checkpoint, if there is one: the pack has ended, or will never be one."""
    _remove(checkpoint_of(folders))


def decide(configs: Sequence[Config], most: int, slots: int) -> list[list[Config]]:
    """The packs of runs of one kind: those that are under way as they were, `arrange` of the rest."""
    packs = under_way(configs, most, slots)
    taken = {id(config) for pack in packs for config in pack}
    return packs + arrange([config for config in configs if id(config) not in taken], most, slots)


def under_way(configs: Sequence[Config], most: int, slots: int) -> list[list[Config]]:
    """The packs that were decided and have not ended, all of whose runs are among these.

    Those that have no checkpoint yet only if they could be decided now. Those that can go on no more are removed.
    """
    by_name = {Store(config).folder.name: config for config in configs}
    study = Path(configs[0]["runs_dir"]) / configs[0]["study"]
    packs = []
    for path in [] if configs[0]["force"] else sorted(study.glob(".packs/*.json")):
        content = json.loads(path.read_text())
        names, checkpoint = content["runs"], path.with_suffix(".ckpt")
        fits = checkpoint.exists() or (content["slots"] == slots and len(names) <= most)
        if fits and all(name in by_name for name in names):
            packs.append([by_name.pop(name) for name in names])
        elif any(_is_complete(study / name) for name in names) and not any(is_held(study / name) for name in names):
            _remove(checkpoint)
    return packs


def _remove(checkpoint: Path) -> None:
    checkpoint.unlink(missing_ok=True)
    _roster(checkpoint).unlink(missing_ok=True)


def _roster(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".json")


def _is_complete(folder: Path) -> bool:
    return (read_record(folder) or {}).get("status") in COMPLETE
