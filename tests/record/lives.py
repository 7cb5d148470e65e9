"""The record of a run that this process holds."""

import json
from typing import Any

from initbench.record.life import Life


def record(life: Life) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((life.store.folder / "record.json").read_text())
    return found
