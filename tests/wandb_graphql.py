"""Enough of GraphQL to answer as a server does: the fields that are asked for, an error for any that is not there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r'\.\.\.|[{}()\[\]:!$=@]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|[A-Za-z_]\w*')
_WORDS = {"true": True, "false": False, "null": None}


class GraphQLError(Exception):
    """A document that is not understood, or asks for a field that does not exist."""


@dataclass
class Selection:
    name: str
    alias: str
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: "list[Selection | str]" = field(default_factory=list)  # a word is the name of a fragment


def execute(document: str, variables: Mapping[str, Any], roots: Mapping[str, Any]) -> dict[str, Any]:
    """The data that `document` asks for. Raises GraphQLError.

    `roots`: "query" and "mutation", nested mappings; what is callable in them takes a field's arguments.
    """
    parser = _Parser(document)
    kind, given, fields = parser.operation(variables)
    return _select(roots[kind], fields, given, parser.fragments)


def _select(
    value: Any, fields: "list[Selection | str]", variables: Mapping[str, Any], fragments: Mapping[str, Any]
) -> Any:
    if value is None or not fields:
        return value
    if isinstance(value, list):
        return [_select(item, fields, variables, fragments) for item in value]
    answer: dict[str, Any] = {}
    for chosen in fields:
        if isinstance(chosen, str):
            answer |= _select(value, fragments[chosen], variables, fragments)
            continue
        if chosen.name not in value:
            raise GraphQLError(f"Cannot query field {chosen.name!r}")
        found = value[chosen.name]
        if callable(found):
            found = found(**_resolve(chosen.arguments, variables))
        elif chosen.arguments:
            raise GraphQLError(f"{chosen.name!r} takes no arguments")
        answer[chosen.alias] = _select(found, chosen.fields, variables, fragments)
    return answer


def _resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, _Variable):
        if value.name not in variables:
            raise GraphQLError(f"Variable ${value.name} is not defined")
        return variables[value.name]
    if isinstance(value, dict):
        return {key: _resolve(item, variables) for key, item in value.items()}
    return [_resolve(item, variables) for item in value] if isinstance(value, list) else value


@dataclass
class _Variable:
    name: str


class _Parser:
    def __init__(self, document: str) -> None:
        self.tokens = _TOKEN.findall(re.sub(r"#.*", "", document))
        self.fragments: dict[str, list[Selection | str]] = {}

    def operation(self, variables: Mapping[str, Any]) -> tuple[str, dict[str, Any], "list[Selection | str]"]:
        """query or mutation, its variables with their defaults, its fields; fragments are kept."""
        found: list[tuple[str, dict[str, Any], list[Selection | str]]] = []
        while self.tokens:
            kind = self._next()
            if kind == "fragment":
                name, _on, _type = self._next(), self._next(), self._next()
                self.fragments[name] = self._fields()
                continue
            if self.tokens[0] not in "({":
                self._next()  # the operation's name
            declared = dict(self._declarations())
            given = {key: variables.get(key, default) for key, default in declared.items()}
            found.append((kind, given, self._fields()))
        (only,) = found
        return only

    def _declarations(self) -> Iterator[tuple[str, Any]]:
        if self.tokens[0] != "(":
            return
        self._next("(")
        while self.tokens[0] != ")":
            self._next("$")
            name, _ = self._next(), self._next(":")
            while self.tokens[0] not in ("$", ")", "="):
                self._next()  # the type
            default = None
            if self.tokens[0] == "=":
                self._next()
                default = self._value()
            yield name, default
        self._next(")")

    def _fields(self) -> "list[Selection | str]":
        fields: list[Selection | str] = []
        self._next("{")
        while self.tokens[0] != "}":
            name = self._next()
            if name == "...":
                fields.append(self._next())
                continue
            alias = name
            if self.tokens[0] == ":":
                self._next()
                name = self._next()
            arguments = self._pairs(")") if self.tokens[0] == "(" else {}
            fields.append(Selection(name, alias, arguments, self._fields() if self.tokens[0] == "{" else []))
        self._next("}")
        return fields

    def _pairs(self, end: str) -> dict[str, Any]:
        self._next()
        pairs = {}
        while self.tokens[0] != end:
            name, _ = self._next(), self._next(":")
            pairs[name] = self._value()
        self._next(end)
        return pairs

    def _value(self) -> Any:
        if self.tokens[0] == "{":
            return self._pairs("}")
        token = self._next()
        if token == "$":
            return _Variable(self._next())
        if token == "[":
            items = []
            while self.tokens[0] != "]":
                items.append(self._value())
            self._next("]")
            return items
        if token.startswith('"'):
            return token[1:-1]
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        return _WORDS.get(token, token)

    def _next(self, expected: str | None = None) -> str:
        if not self.tokens or expected not in (None, self.tokens[0]):
            raise GraphQLError(f"expected {expected!r}, got {self.tokens[:5]}")
        return self.tokens.pop(0)
