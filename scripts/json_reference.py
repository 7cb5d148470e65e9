"""Write docs/reference/json.md and docs/reference/schemas/*.json: what programs print as JSON, and JSON files on disk.

python scripts/json_reference.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from json_models.attribution import Attribution
from json_models.audit import Audit
from json_models.status import StudyStatus
from json_models.study import Record, StudyLock
from json_models.verdict import Verdict
from pydantic import BaseModel

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"

# The name of each schema, what it is the schema of, and what the page says about it.
SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "status": (
        StudyStatus,
        """\
The progress of a study. It can be asked for at any time, also while runs are trained.

```sh
python -m initbench.status runs/json --json
```
""",
    ),
    "verdict": (
        Verdict,
        """\
The verdict with all its numbers. [How initializers are compared](../explanation/comparison.md#verdictjson) explains
what they mean; this table has their types. `--json` prints what the report writes to `verdict.json`, and
`initbench.verdict(...).to_dict()` returns it.

```sh
python -m initbench.report runs/json --json
```
""",
    ),
    "audit": (
        Audit,
        """\
The findings of an [audit](../how_to/audit.md).

```python
# models.py
import torch


def make_model():
    return torch.nn.Linear(8, 4)
```

```sh
python -m initbench.audit models:make_model --json
```
""",
    ),
    "attribution": (
        Attribution,
        "The numbers behind the page of an [attribution](../how_to/attribution.md).\n",
    ),
    "record": (
        Record,
        """\
The record of a run. [Every file on disk](files.md#recordjson) says who writes and reads it. A run that has not ended,
crashed or was refused lacks what is not known about it.
""",
    ),
    "study_lock": (StudyLock, "What was planned before it was run.\n"),
}

INTRODUCTION = """\
# JSON

What programs print with `--json`, and the JSON files of a study: every key, its type and its meaning. Each section has
a [JSON schema](https://json-schema.org), which forbids keys that are not listed.

- Numbers that are unknown or not finite are `null`: there is no `NaN` in any of this.
- Durations are in seconds. Scores and differences of scores are in the unit of the metric; a share is from 0 to 1, so
  0.01 is one percentage point.
- With `--json`, stdout has the JSON and nothing else; warnings go to stderr. [Exit codes](exit_codes.md) are the same
  with and without `--json`.
- `python -m initbench.transfer`, `python -m initbench.init` and `python -m initbench` have no JSON of their own. The
  runs behind them have records.

The tables write a key inside another as `settings[].rows[].init`, where `[]` stands for each entry of a list and `{}`
for each value of a mapping whose keys are not fixed. The examples use a study of a few short runs:

```sh
python -m initbench -m init=zeros,orthogonal 'seed=range(6)' model=mlp trainer.max_steps=20 logger=none study=json
```

Written by `python scripts/json_reference.py`; do not edit.
"""

IN_PYTHON = """\
## In a program

```python
import json
import subprocess
import sys

command = [sys.executable, "-m", "initbench.status", "runs/json", "--json"]
status = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
assert status["over"] == status["planned"] == 12
```

To work with the results in Python, `initbench.load_runs` and `initbench.verdict` are shorter:
[Records](records.md#load-them).
"""


def pages() -> dict[Path, str]:
    """The text of every file."""
    files = {DOCS / "schemas" / f"{name}.json": schema(model) for name, (model, _) in SCHEMAS.items()}
    return {DOCS / "json.md": page(), **files}


def schema(model: type[BaseModel]) -> str:
    found = _untitled({"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()})
    return json.dumps(found, indent=1) + "\n"


def page() -> str:
    sections = [section(name, model, text) for name, (model, text) in SCHEMAS.items()]
    return "\n".join([INTRODUCTION, *sections, IN_PYTHON])


def section(name: str, model: type[BaseModel], text: str) -> str:
    found = model.model_json_schema()
    lines = [f"## {model.__doc__}", "", text, f"Schema: [schemas/{name}.json](schemas/{name}.json)", ""]
    found_rows = [list(row) for row in rows(found, found["$defs"])]
    head = ["key", "type", "meaning"]
    if name == "verdict":  # comparison.md has the meanings
        head, found_rows = head[:2], [row[:2] for row in found_rows]
    table = [head, ["---"] * len(head), *found_rows]
    lines += ["| " + " | ".join(cells) + " |" for cells in table]
    return "\n".join([*lines, ""])


def rows(part: Mapping[str, Any], definitions: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str, str]]:
    """A row for each key, those inside it after it."""
    for key, value in part["properties"].items():
        meaning = value.get("description", "")
        if (inner := _inner(value, definitions)) is not None:
            path, of = inner
            yield f"`{before}{key}`", _words(value, definitions), meaning
            yield from rows(of, definitions, f"{before}{key}{path}.")
        else:
            yield f"`{before}{key}`", _words(value, definitions), meaning


def _inner(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The path from a key to the mapping with fixed keys in it, and this mapping."""
    for each in value.get("anyOf", [value]):
        if "$ref" in each:
            return "", definitions[each["$ref"].rpartition("/")[2]]
        if "items" in each and (found := _inner(each["items"], definitions)):
            return f"[]{found[0]}", found[1]
        if isinstance(more := each.get("additionalProperties"), dict) and (found := _inner(more, definitions)):
            return f"{{}}{found[0]}", found[1]
    return None


def _words(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The type of a value in words."""
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_words(each, definitions) for each in value["anyOf"]))
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    kind = value.get("type", "object" if "$ref" in value else "anything")
    if kind == "array" and "prefixItems" in value:
        return f"list of {len(value['prefixItems'])} {_plural(_words(value['prefixItems'][0], definitions))}"
    if kind == "array":
        return f"list of {_plural(_words(value['items'], definitions))}"
    if kind == "object" and isinstance(more := value.get("additionalProperties"), dict):
        return f"mapping to {_plural(_words(more, definitions))}"
    words = {"integer": "whole number", "string": "text", "boolean": "`true` or `false`", "null": "`null`"}
    return words.get(kind, kind)


def _plural(words: str) -> str:
    """The plural of the words for a type: whole numbers, numbers or `null`, lists of 2 texts."""
    first, *others = words.split(" or ")
    head, _, rest = first.partition(" of ")
    return " or ".join([head + "s" + (f" of {rest}" if rest else ""), *others])


def _untitled(part: Any) -> Any:
    """Without the titles that pydantic makes of names, which say nothing more."""
    if isinstance(part, dict):
        return {key: _untitled(value) for key, value in part.items() if key != "title" or isinstance(value, dict)}
    return [_untitled(each) for each in part] if isinstance(part, list) else part


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
