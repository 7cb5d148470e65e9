"""Masks secrets, typed or in a config, in everything that is written, printed or sent.

A secret is recognized by the name of its key, or as the password in a URL. Once seen, its value is masked in every
later text, such as an error message that quotes it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
_SECRET = {"password", "passwd", "passphrase", "pwd", "secret", "credential", "authorization", "bearer"}
# In models these words have other meanings: numbers and switches are not secrets (num_tokens, class_token=true).
_PERHAPS = {"key", "token", "auth", "apikey", "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_QUOTED = r""""[^"]*"|'[^']*'"""
# The form in an override, whose value may be a list, and the form in a mapping.
_EQUAL = re.compile(rf"""([\w.@/+~-]*[A-Za-z])(=)({_QUOTED}|[^\s;&{{}}\[\]"']+)""")
_COLON = re.compile(rf"""([\w.@/+~-]*[A-Za-z])(["']?\s*:\s*)({_QUOTED}|[^\s,;&(){{}}\[\]"']+)""")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)([^\s/][^\s]*?)@", re.IGNORECASE)
_SHORTEST = 6  # shorter values are masked only next to their keys, because they may be part of any word

_seen: set[str] = set()


def masked(node: Any, key: str = "") -> Any:
    """A config, or a part of one, with its secrets masked."""
    if isinstance(node, Mapping):
        # Whatever is below `credentials` is secret; below `key` may be the options of an attention.
        inherited = "secret" if _is_secret(key, None) else ""
        return {name: masked(value, f"{inherited}.{name}") for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [masked(value, key) for value in node]
    if node is None or node == "???" or isinstance(node, bool):
        return node
    if _is_secret(key, node):
        _learn(str(node))
        return MASK
    return hide(node) if isinstance(node, str) else node


def learn(config: Mapping[str, Any]) -> None:
    """Mask the secrets of this config in every later text too."""
    masked(config)


def hide(text: str) -> str:
    """The text with every secret in it masked: a command, an override, a message."""
    text = _URL.sub(_mask_url, text)
    for pair in (_EQUAL, _COLON):
        text = pair.sub(_mask_pair, text)
    for value in sorted(_seen, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def hide_all(texts: Iterable[str]) -> list[str]:
    """The same for typed arguments, each of which may be `key=value`."""
    return [hide(text) for text in texts]


def _is_secret(path: str, value: Any) -> bool:
    """Whether the value of a dotted key is a secret; if it is None, a mapping, whether everything below it is."""
    parts = [_words(part) for part in re.split(r"[./@]", path)]
    if any(_SECRET.intersection(words) for words in parts):
        return True
    ends = (*parts[-1][-1:], "".join(parts[-1][-2:]))  # api_key and apikey, but not key_dim or KeyError
    return isinstance(value, str) and bool(_PERHAPS.intersection(ends))


def _words(name: str) -> list[str]:
    return [word.lower().removesuffix("s") for word in _WORDS.findall(name)]


def _mask_pair(found: re.Match[str]) -> str:
    key, between, value = found.groups()
    plain = value.strip("\"'")
    typed: Any = None if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false|null", plain, re.IGNORECASE) else plain
    is_prose = ":" in between and key.lower() in _PERHAPS  # "unknown key: relu"
    if plain in ("", MASK, "null", "true", "false") or is_prose or not _is_secret(key, typed):
        return f"{key}{between}{_EQUAL.sub(_mask_pair, value)}"  # a URL may have such pairs of its own
    for part in plain.split(","):
        _learn(part)
    return f"{key}{between}{value.replace(plain, MASK)}"


def _mask_url(found: re.Match[str]) -> str:
    _learn(found[2])
    return f"{found[1]}{MASK}@"


def _learn(value: str) -> None:
    is_word = value.isalpha() and len(value) < 16  # such as relu: not to be masked where it means something else
    if len(value) >= _SHORTEST and value != MASK and not is_word:
        _seen.add(value)
