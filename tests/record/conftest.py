"""Runs that this process holds."""

from collections.abc import Iterator
from typing import Any

import pytest

from initbench.record.life import Life, claimed
from initbench.record.store import Store


@pytest.fixture
def lives(small: Any) -> Iterator[list[Life]]:
    """Two runs that this process holds."""
    with claimed(Store(small("seed=0"))) as one, claimed(Store(small("seed=1"))) as other:
        assert one is not None
        assert other is not None
        yield [one, other]
