"""Where the cache is; tests/record/test_other_user.py has a user without a home."""

from pathlib import Path

import pytest

from initbench.cache import cache_folder


def test_it_is_the_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "initbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() is not None
    assert tmp_path in (cache_folder() or Path()).parents


def test_a_home_that_nobody_can_tell_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older versions of platformdirs leave "~" as it is."""
    monkeypatch.setattr("initbench.cache.user_cache_path", lambda *_, **__: Path("~/.cache/initbench"))
    assert cache_folder() is None
