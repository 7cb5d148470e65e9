"""Where a user's programs keep what they can make again."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path | None:
    """The platform's, `~/.cache/initbench` on Linux; None for a user without a home, as in many containers."""
    folder = user_cache_path("initbench", appauthor=False)
    return folder if folder.is_absolute() else None  # "~" stays where nobody knows what it stands for
