"""Masks secrets, typed or in a config, in everything that is written, printed or sent.

A secret is recognized by the name of its key, as the password in a URL, or by the form that some services give their
tokens. Once seen, its value is masked in every later text, such as an error message that quotes it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "***"
_SECRET = {"password", "passwd", "passphrase", "pwd", "secret", "cred", "credential", "authorization", "bearer"}
_SECRET_PAIRS = {"apikey", "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken"}  # api_key and apikey
# In models these words have other meanings; as numbers and switches they are no secrets (num_tokens, class_token=true).
_PERHAPS = {"key", "token", "auth", "pass", "pw", "signature", "sig"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A key as an override or a mapping has it. The first group is what the value may end with. No backtracking (`++`):
# an error message may be a megabyte without a space.
_KEY = re.compile(r"""(?<![\w.@/+~-])(["']?)([\w.@/+~-]++)(=|["']?\s*+:\s*+)""")
_QUOTED = r""""[^"]*"|'[^']*'"""
_AFTER = {
    "=": re.compile(rf"""{_QUOTED}|[^\s;&{{}}\[\]"']+"""),
    ":": re.compile(rf"""{_QUOTED}|(?:(?:bearer|basic|token)\s+)?[^\s,;&(){{}}\[\]"']+""", re.IGNORECASE),
}
_REST = {"'": re.compile(r"""(?:[^']|'"'"')+"""), '"': re.compile(r'[^"]+')}  # of an argument that a shell needs quoted
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]*:)([^\s/?#][^\s?#]*)@", re.IGNORECASE)
_TOKEN = re.compile(r"\b(?:hf_|gh[opsur]_|github_pat_|glpat-|sk-|xox[abp]-|AKIA)[\w-]{16,}")
_NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false|null", re.IGNORECASE)
_SHORTEST = 6  # shorter values are masked beside their keys only, as they may be parts of any word

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
    return _hide(text, is_argument=False)


def hide_all(texts: Iterable[str]) -> list[str]:
    """The same of arguments that were typed, each of which may be `key=value`."""
    return [_hide(text, is_argument=True) for text in texts]


def _hide(text: str, is_argument: bool) -> str:
    text = _TOKEN.sub(MASK, _URL.sub(_mask_url, text))
    parts, done = [], 0
    for found in _KEY.finditer(text):
        if found.start() >= done and (value := _value(text, found, is_argument)):
            parts += [text[done : found.end()], value.replace(value.strip("\"'"), MASK)]
            done = found.end() + len(value)
    text = "".join([*parts, text[done:]])
    for value in sorted(_seen, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _value(text: str, found: re.Match[str], is_argument: bool) -> str:
    """The secret that follows a key, empty where none does."""
    quote, key, between = found.groups()
    at, separator = found.end(), between.strip(" \t\n\"'")
    is_prose = separator == ":" and key.lower().removeprefix("full_") in _PERHAPS  # "unknown key: relu"
    if is_prose or text.startswith("${", at) or not (_is_secret(key, "") or _is_secret(key, None)):
        return ""
    if is_argument and found.start() == 0 and separator == "=":
        value = text[at:]
    elif text[at : at + 1] in ("{", "["):
        value = _bracketed(text, at) or text[at:].split(maxsplit=1)[0]
    else:
        rest = _REST[quote] if quote and between == "=" else _AFTER[separator]
        after = rest.match(text, at)
        value = after[0] if after else ""
    plain = value.strip("\"'")
    typed: Any = None if _NUMBER.fullmatch(plain) else plain
    if plain in ("", MASK, "null", "true", "false") or not _is_secret(key, typed):
        return ""
    if plain[0] not in "{[":
        for part in re.sub(r"^(bearer|basic|token)\s+", "", plain, flags=re.IGNORECASE).split(","):
            _learn(part)
    return value


def _bracketed(text: str, at: int) -> str:
    """A mapping or list from its first bracket to the one that closes it; empty where none does."""
    depth = 0
    for found in re.compile(r"[{\[\]}]").finditer(text, at):
        depth += 1 if found[0] in "{[" else -1
        if depth == 0:
            return text[at : found.end()]
    return ""


def _is_secret(path: str, value: Any) -> bool:
    """Whether the value of a dotted key is a secret; if it is None, a mapping, whether everything below it is."""
    parts = [_words(part) for part in re.split(r"[./@]", path)]
    if any(_SECRET.intersection(words) for words in parts):
        return True
    last = parts[-1]  # api_key, but not key_dim or KeyError
    if "".join(last[-2:]) in _SECRET_PAIRS or "".join(last[-1:]) in _SECRET_PAIRS:
        return True
    return isinstance(value, str) and bool(_PERHAPS.intersection(last[-1:]))


def _words(name: str) -> list[str]:
    return [re.sub(r"(?<!s)s$", "", word.lower()) for word in _WORDS.findall(name)]


def _mask_url(found: re.Match[str]) -> str:
    _learn(found[2])
    return f"{found[1]}{MASK}@"


def _learn(value: str) -> None:
    is_word = value.isalpha() and len(value) < 16  # such as relu: not to be masked where it means something else
    if len(value) >= _SHORTEST and value != MASK and not is_word:
        _seen.add(value)
