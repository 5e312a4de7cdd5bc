"""From a file to checked settings: reading it, and pydantic's errors put into an operator's words and places."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exporter import yaml_document
from exporter.errors import ConfigError, Problem
from exporter.settings import Settings
from exporter.yaml_document import Document

MESSAGES = {
    "missing": "is missing; add it",
    "string_type": "must be text; put it in quotes",
    "string_pattern_mismatch": "may hold 1 to 100 letters, digits, '-', '_' and '.'",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "path_type": "must be the path of a file",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
}
"""pydantic's words are for programmers; these are for operators. A type not listed keeps pydantic's message."""


def read_file(path: Path, flag: str, environment: Mapping[str, str] | None) -> Document:
    """Read the YAML file that `flag` named; `environment` is what `yaml_document.read` takes. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = Problem(str(path), 1, 1, "", f"cannot be read: {error.strerror}; name the file with {flag}")
        raise ConfigError((problem,)) from None
    except UnicodeDecodeError:
        raise ConfigError((Problem(str(path), 1, 1, "", "is not UTF-8 text; save it as UTF-8"),)) from None
    return yaml_document.read(text, str(path), environment)


def problems_of(
    document: Document, path: tuple[str | int, ...], error: ValidationError, model: type[Settings]
) -> Iterator[Problem]:
    """Yield each error of pydantic with its place in the file; `path` is where the part stands that `model` reads."""
    for details in error.errors(include_url=False, include_input=False):
        location = tuple(details["loc"])
        yield document.problem((*path, *location), _message(details, location, model))


def _message(details: ErrorDetails, location: tuple[str | int, ...], model: type[Settings]) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(location[-1]), _keys(model, location[:-1]))
    if kind in MESSAGES:
        return MESSAGES[kind]
    text = details["msg"].removeprefix("Value error, ")
    return text.replace("Input should", "should")


def _keys(model: type[Settings], location: tuple[str | int, ...]) -> Iterable[str]:
    """Return the keys that are known at a place inside a model."""
    fields: Any = model.model_fields
    for part in location:
        nested = getattr(fields.get(part), "annotation", None)
        fields = getattr(nested, "model_fields", {})
    return tuple(field.alias or name for name, field in fields.items())


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Say that a key is unknown, with the nearest known one or all of them."""
    known = tuple(known)
    hint = did_you_mean(key, known) or (f"; known keys are {', '.join(known)}" if known else "")
    return f"unknown key{hint}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return the known word that is nearest, as the end of a message; empty when none is near."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
