"""docs/reference/config.md and the JSON schema are those of the code."""

import json

import config_reference
import pytest
import yaml
from configs import options

from initbench import CONF


@pytest.mark.parametrize("path", config_reference.pages(), ids=lambda path: path.name)
def test_the_reference_is_current(path: config_reference.Path) -> None:
    """Else: python scripts/config_reference.py"""
    assert path.read_text() == config_reference.pages()[path]


def test_every_key_has_what_is_allowed_and_what_it_means() -> None:
    rows = [line.split(" | ") for line in config_reference.reference().splitlines() if " | `" in line]
    assert len(rows) > 150
    shared = [cells for cells in rows if not cells[0].startswith("| `") or cells[0].count("`") == 2]
    assert all(cells[2].strip() for cells in shared)


@pytest.mark.parametrize("name", options("experiment"))
def test_the_json_schema_knows_every_key_of_the_studies(name: str) -> None:
    schema = json.loads(config_reference.json_schema())
    study = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text())
    assert set(study) <= set(schema["properties"])
