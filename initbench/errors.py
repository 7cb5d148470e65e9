"""How a wrong value is reported: the value, what is allowed, the nearest match. Standard library only."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserMistake(ValueError):  # noqa: N818 - it is the user's, not an error of the program
    """A config that cannot be run. The message is for the user; nothing was trained or written."""


class Unwritable(UserMistake):
    """Nothing can be recorded, the disk being full or read-only: it ends a sweep, as no run of it would fare better."""


def nearest(value: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'relu'?"` for `value="rellu"`, an empty string where nothing is close."""
    by_letters = {name.lower(): name for name in allowed}  # MNIST is mnist
    matches = get_close_matches(value.lower(), list(by_letters), n=1, cutoff=0.6)
    return f" Did you mean {by_letters[matches[0]]!r}?" if matches else ""


def unknown(what: str, value: object, allowed: Iterable[str]) -> ValueError:
    """The error for a value outside a closed list, to be raised by the caller."""
    names = sorted(allowed)
    return ValueError(f"unknown {what} {value!r}.{nearest(str(value), names)} Allowed: {', '.join(names)}")
