"""The mark of a run of a pack that has ended, and whose loggers have not been told of it: an empty file, `untold`."""

from pathlib import Path


def mark(folder: Path) -> None:
    (folder / "untold").touch()


def is_marked(folder: Path) -> bool:
    return (folder / "untold").exists()


def take(folder: Path) -> bool:
    """Remove the mark. Whoever did it is the one to tell; False where somebody else is."""
    try:
        (folder / "untold").unlink()
    except FileNotFoundError:
        return False
    return True
