"""Values of a reply that nobody can read: an optional one becomes unknown and is told, any other refuses the reply.

Lists are typed in by hand and imported, so one of a million records has a due date in the year 20226 or a score of 105.
A field whose type is `OrUnknown` is UNSET then; a series that needs it goes without the record.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Struct, UnsetType

T = TypeVar("T")

CHUNK = 100
_OR_UNKNOWN: Final = "or unknown"

OrUnknown = Annotated[T | UnsetType, _OR_UNKNOWN]
"""An optional value: UNSET when what arrived is no T. Ids and what decides a state are never optional."""

TOLD_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""What is taken for the id of a record; anything else may be a mail address and is not told."""


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """Where a value stands that could not be read, such as `$[4].score`, and the id of its record, empty without one.

    `is_label` if series have it in a label only, so that no number depends on it; `why` where the place does not tell.
    """

    path: str
    record_id: str
    is_label: bool
    why: str = ""

    def __str__(self) -> str:
        """Name path and record, never the value."""
        record = f" of record {self.record_id}" if TOLD_ID.fullmatch(self.record_id) else ""
        return f"{self.path}{record}{f' ({self.why})' if self.why else ''}"

    @property
    def key(self) -> str:
        """The path without positions, which all records share."""
        return re.sub(r"\[\d+\]", "[...]", self.path)


def read(document: Any, of: Any) -> tuple[Any, list[UnreadableValue]]:
    """Convert a JSON document record by record, and tell what could not be read of it.

    Raises msgspec.ValidationError with the path of the first value that must be right and is not.
    """
    found: list[UnreadableValue] = []
    return _read(document, of, "$", found), found


def _read(value: Any, of: Any, path: str, found: list[UnreadableValue]) -> Any:
    if has_unknowns(of):
        item, struct = _item(of), _struct(of)
        if isinstance(value, list) and item is not None:
            return _read_list(value, item, path, found)
        if isinstance(value, dict) and struct is not None:
            try:
                return msgspec.convert(value, struct)
            except msgspec.ValidationError:
                return _read_struct(value, struct, path, found)
    return _convert(value, of, path)


def _read_list(values: list[Any], item: Any, path: str, found: list[UnreadableValue]) -> list[Any]:
    """Look only at the items of a chunk that does not convert as it is: few of a long list do not."""
    read: list[Any] = []
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        try:
            read += msgspec.convert(chunk, list[item])
        except msgspec.ValidationError:
            read += [_read(one, item, f"{path}[{start + number}]", found) for number, one in enumerate(chunk)]
    return read


def _read_struct(value: dict[str, Any], struct: Any, path: str, found: list[UnreadableValue]) -> Any:
    fields = {}
    for field in msgspec.structs.fields(struct):
        place = f"{path}.{field.encode_name}"
        if field.encode_name in value:
            try:
                fields[field.name] = _read(value[field.encode_name], field.type, place, found)
                continue
            except msgspec.ValidationError:
                if not _is_or_unknown(field.type):
                    raise
        elif not field.required:
            continue
        if not _is_or_unknown(field.type):
            raise msgspec.ValidationError(_at(f"Object missing required field `{field.encode_name}`", path))
        fields[field.name] = UNSET
        found.append(UnreadableValue(place, _record_id(value, struct), str in _arms(field.type)))
    try:
        return struct(**fields)
    except (TypeError, ValueError) as error:  # what __post_init__ finds wrong, as when msgspec decodes
        raise msgspec.ValidationError(_at(str(error), path)) from None


def _convert(value: Any, of: Any, path: str) -> Any:
    try:
        return msgspec.convert(value, of)
    except msgspec.ValidationError as error:
        message, _, inner = str(error).partition(" - at `$")
        raise msgspec.ValidationError(_at(message, path + inner.removesuffix("`"))) from None


def _at(message: str, path: str) -> str:
    """Name the place as msgspec does."""
    return message if path == "$" else f"{message} - at `{path}`"


def _record_id(value: dict[str, Any], struct: Any) -> str:
    for field in msgspec.structs.fields(struct):
        if field.name == "id":
            return str(value.get(field.encode_name, ""))
    return ""


@cache
def has_unknowns(of: Any) -> bool:
    """True if a value of the type may hold optional values."""
    item, struct = _item(of), _struct(of)
    if item is not None and has_unknowns(item):
        return True
    if struct is None:
        return False
    return any(_is_or_unknown(field.type) or has_unknowns(field.type) for field in msgspec.structs.fields(struct))


@cache
def record_counter(of: Any) -> Callable[[Any], int]:
    """Return a function that counts, in a value of the type, the records that may hold optional values."""
    item, struct = _item(of), _struct(of)
    if item is not None and has_unknowns(item) and _is_flat(item):
        of_list: Callable[[Any], int] = len
    elif item is not None and has_unknowns(item):
        of_item = record_counter(item)
        of_list = lambda value: sum(map(of_item, value))  # noqa: E731
    else:
        of_list = lambda _: 0  # noqa: E731
    own = int(struct is not None and any(_is_or_unknown(field.type) for field in msgspec.structs.fields(struct)))
    inner = [(field.name, record_counter(field.type)) for field in _holders(struct)]

    def count(value: Any) -> int:
        if isinstance(value, list):
            return of_list(value)
        if not isinstance(value, Struct):
            return 0
        return own + sum([of_field(getattr(value, name)) for name, of_field in inner])

    return count


def _holders(struct: Any) -> list[msgspec.structs.FieldInfo]:
    """Return the fields in which there may be records."""
    if struct is None:
        return []
    return [field for field in msgspec.structs.fields(struct) if has_unknowns(field.type)]


def _is_flat(item: Any) -> bool:
    """True if every item is one record, whatever is in it."""
    return _struct(item) is not None and not _holders(_struct(item))


def _is_or_unknown(of: Any) -> bool:
    return get_origin(of) is Annotated and _OR_UNKNOWN in get_args(of)[1:]


def _arms(of: Any) -> tuple[Any, ...]:
    """Return the types that a union allows, a type that is none as the only one."""
    if get_origin(of) is Annotated:
        return _arms(get_args(of)[0])
    if get_origin(of) in (Union, UnionType):
        return tuple(arm for one in get_args(of) if one not in (NoneType, UnsetType) for arm in _arms(one))
    return (of,)


def _item(of: Any) -> Any:
    """Return the type of a list's items, None if the type allows no list."""
    return next((get_args(arm)[0] for arm in _arms(of) if get_origin(arm) is list), None)


def _struct(of: Any) -> Any:
    """Return the Struct that the type allows, None without one."""
    found = (arm for arm in _arms(of) if isinstance(get_origin(arm) or arm, type))
    return next((arm for arm in found if issubclass(get_origin(arm) or arm, Struct)), None)
