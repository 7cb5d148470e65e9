"""Where a user's programs keep what they can make again."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path | None:
    """The platform's, `~/.cache/initbench` on Linux; None for a user without a home, as in many containers."""
    try:
        folder = user_cache_path("initbench", appauthor=False)
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None  # older platformdirs leave "~" as it is
