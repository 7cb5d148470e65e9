"""The mark of a run of a pack that has ended, and whose loggers have not been told of it: an empty file, `untold`."""

from pathlib import Path

from initbench.record.store import atomic_write, writing


def mark(folder: Path) -> None:
    atomic_write(folder / "untold", b"")


def is_marked(folder: Path) -> bool:
    return (folder / "untold").exists()


def take(folder: Path) -> bool:
    """Remove the mark. Whoever did it is the one to tell; False where somebody else is."""
    path = folder / "untold"
    with writing(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True
