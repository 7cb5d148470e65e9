"""The id of a sweep: every process that works for the sweep inherits it, and every record that one writes has it.

What belongs to a sweep is known by this and never by the time, as the clocks of a cluster's nodes may differ.
"""

import os
import secrets

SWEEP_VARIABLE = "INITBENCH_SWEEP"


def begin_sweep() -> str:
    """Make this process, and those that it starts from now on, work for a new sweep; its id."""
    os.environ[SWEEP_VARIABLE] = secrets.token_hex(8)
    return os.environ[SWEEP_VARIABLE]


def sweep_id() -> str | None:
    """The sweep that this process works for; None for a single run."""
    return os.environ.get(SWEEP_VARIABLE) or None
