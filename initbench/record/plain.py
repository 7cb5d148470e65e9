"""What plain dicts hold, by name: the values that JSON has, nested."""

from typing import Any

# A resolved config: what signatures and records are made of. `initbench.schema.Config` is its typed form.
PlainConfig = dict[str, Any]

# The content of a record.json, or a part of it: see docs/reference/files.md.
Record = dict[str, Any]

# A row of a table of a run: history, parameters, layers.
Row = dict[str, Any]
