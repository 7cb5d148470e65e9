"""Write config.md and config.schema.json in docs/reference: the schema, the signatures of targets, comments in conf/.

python scripts/config_reference.py
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from initbench import CONF
from initbench.config.mistakes import annotation_of, key_of, part_of
from initbench.schema import target
from initbench.schema.allowed import words
from initbench.schema.config import Config

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"

INTRODUCTION = """\
# The config

Every key with its allowed values, its default and its meaning. `python -m initbench --cfg job` prints the composed
config. Set a key with `group.key=value`; add one that the option does not list with `+group.key=value`. A number that
is meant as text needs quotes: `"study='7'"`. A config is checked before anything is trained; `dry_run=true` checks it
and runs nothing. The launchers have their own pages, such as
[auto](launchers/auto.md).

`_target_` may name any importable function or class, except those that run processes or evaluate text. The
environment variable `INITBENCH_TARGETS=initbench,torch,my_lab` allows only these packages.

Editors that support JSON schema can check a study's YAML with [config.schema.json](config.schema.json). Make this its
first line: `# yaml-language-server: $schema=…/docs/reference/config.schema.json`

Written by `python scripts/config_reference.py`; do not edit.
"""

# What the tables say about groups in addition to the schema's docstrings.
GIVEN = {
    "init": "Every key that an option adds is a parameter of its function.",
    "model": "Every key is an argument of the model; `in_channels`, `vocab_size` and the like come from data and task.",
    "data": "Every key that an option adds is an argument of the function that reads the dataset.",
    "task": "Every key is an argument of the task.",
    "optimizer": "Any other argument of the torch optimizer may be added: `+optimizer.amsgrad=true`.",
    "scheduler": "",
    "trainer": "Any other argument of `lightning.Trainer` may be added: `+trainer.detect_anomaly=true`.",
    "logger": "",
    "diagnostics": "",
}


def pages() -> dict[Path, str]:
    """The text of both files."""
    return {DOCS / "config.md": reference(), DOCS / "config.schema.json": json_schema()}


def json_schema() -> str:
    """A JSON schema for the YAML of a study or an option, in which every key may be left out."""
    schema = Config.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        part.pop("required", None)
    schema["properties"] |= {"defaults": {"type": "array"}, "hydra": {"type": "object"}}
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


def reference() -> str:
    shared = yaml.safe_load((CONF / "config.yaml").read_text())
    lines = [INTRODUCTION, "## Keys of the study", "", "| key | allowed | default | meaning |", "|---|---|---|---|"]
    groups = {}
    for name, field in Config.model_fields.items():
        if (CONF / name).is_dir():
            groups[name] = part_of(field)
        elif (part := part_of(field)) is None:
            lines.append(_row(name, annotation_of(field), shared.get(name, ""), field.description))
        else:
            for key, inner in part.model_fields.items():
                default = (shared.get(name) or {}).get(key, "")
                meaning = inner.description
                lines.append(_row(f"{name}.{key}", annotation_of(inner), default, meaning))
    for name, part in groups.items():
        lines += ["", f"## {name}", "", *[GIVEN[name], ""] * bool(GIVEN[name])]
        declared = declared_keys(part)
        lines += ["| option | key | allowed | default | meaning |", "|---|---|---|---|---|"]
        for key, default in (shared.get(name) or {}).items():
            meaning = declared[key].description
            lines.append("| all " + _row(f"{name}.{key}", annotation_of(declared[key]), default, meaning))
        for path in sorted((CONF / name).glob("*.yaml")):
            lines += [f"| `{path.stem}` {row}" for row in rows_of(name, path, declared)]
    return "\n".join(lines) + "\n"


def declared_keys(part: Any) -> dict[str, Any]:
    """The keys that all options of a group share, with their fields; none for a group without a model."""
    return {key_of(key, field): field for key, field in part.model_fields.items()} if part else {}


def rows_of(group: str, path: Path, declared: Mapping[str, Any]) -> Iterator[str]:
    """A row for each key of an option's file."""
    text = path.read_text()
    option, comments = yaml.safe_load(text), _comments(text)
    hints = target.annotations(target.load(group, option["_target_"])) if "_target_" in option else {}
    for key, default in option.items():
        field = declared.get(key)
        if key not in ("_target_", "name", "defaults"):
            annotation = annotation_of(field) if field else hints.get(key, type(default))
            yield _row(f"{group}.{key}", annotation, default, field.description if field else comments.get(key, ""))


def _row(key: str, annotation: Any, default: Any, meaning: str | None) -> str:
    shown = "" if default == "" else f"`{_yaml(default)}`"
    cells = [f"`{key}`", words(annotation), shown, " ".join((meaning or "").split())]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()


def _comments(text: str) -> dict[str, str]:
    """The comments beside the keys of an option's file; a line that only goes on with a comment is joined to it."""
    found: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if match := re.match(r"(\w+):[^#]*(?:# (.*))?$", line):
            key = match[1]
            found[key] = match[2] or ""
        elif key and (match := re.match(r" {4,}# (.*)$", line)):
            found[key] += f" {match[1]}"
    return found


def main() -> None:
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
