"""Files that name the version name the same one, and the wheel is typed."""

import re
from pathlib import Path

import yaml

import initbench

ROOT = Path(__file__).resolve().parent.parent
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    heading = re.search(r"^## (\d\S*) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading is not None
    version, date = heading.groups()
    assert version == CITATION["version"] == initbench.__version__
    assert date == str(CITATION.get("date-released", "unreleased"))


def test_every_public_name_is_known_to_type_checkers() -> None:
    """Which do not see __getattr__: names are imported for them."""
    text = Path(initbench.__file__).read_text()
    imported = set(re.findall(r"\w+", text.partition("if TYPE_CHECKING:")[2].partition("else:")[0]))
    assert set(initbench.__all__) - imported == {"CONF"}
    assert (Path(initbench.__file__).parent / "py.typed").exists()
