"""Files with data of the user's own: where they are, and whether they have changed."""

from collections.abc import Callable
from pathlib import Path

from initbench.errors import nearest


def existing(root: str, file: str) -> Path:
    """The path of a file, which lies in `root` if it is relative; ValueError where there is none."""
    path = Path(root) / file
    if path.is_file():
        return path
    if Path(file).is_file():
        raise ValueError(
            f"there is no file {str(path)!r}. For the one in this folder, give {str(Path(file).absolute())!r}"
        )
    there = [near.name for near in path.parent.glob("*") if near.is_file()] if path.parent.is_dir() else []
    raise ValueError(f"there is no file {str(path)!r}.{nearest(path.name, there)}")


def unchanged(*paths: Path) -> Callable[[], bool]:
    """A function that says whether the files are as they are now."""
    stamps = [_stamp(path) for path in paths]
    return lambda: [_stamp(path) for path in paths] == stamps


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def always() -> bool:
    """`is_current` of data that no file can change."""
    return True
