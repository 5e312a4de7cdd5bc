"""Read a YAML file into plain data that remembers where every key stands, so that errors can point at it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from exporter.errors import ConfigError, Problem

Path = tuple[str | int, ...]

REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(.?))", re.DOTALL)
TEXT_TAG = "tag:yaml.org,2002:str"
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
OTHER_BASE = re.compile(r"[-+]?0[0-9_]+|.*:.*")
"""Such as 010, which is 8, and 1:30, which is 90."""
MERGE_TAG = "tag:yaml.org,2002:merge"
MAX_NODES = 1_000_000  # about 100,000 targets; a smaller file that unfolds to more is a chain of aliases gone wrong


@dataclass(slots=True)
class Document:
    """Plain data of a file; `positions` maps the path of each key and list item to its line and column, from 1."""

    file: str
    data: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """Point at `path`, or at its nearest ancestor that stands in the file."""
        known = path
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        return Problem(self.file, line, column, dotted(path), message)


def dotted(path: Path) -> str:
    """Write a path as operators do: `targets[2].collectors.groups`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read(text: str, file: str, environment: Mapping[str, str] | None) -> Document:
    """Parse `text`, unfold anchors and merge keys, and replace `${VAR}` in string values from `environment`.

    Without an environment, `$` is an ordinary character. Raises ConfigError with every syntax error, duplicate key and
    unset variable found.
    """
    document = Document(file)
    try:
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            reader = _Reader(loader, document, environment)
            document.data = None if node is None else reader.value(node, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(file, line, column, "", f"not valid YAML: {error.problem or error.context}")
        raise ConfigError((problem,)) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", "unreadable")
        raise ConfigError((Problem(file, 1, 1, "", f"not valid YAML: {reason}; save it as UTF-8 text"),)) from None
    except RecursionError:
        raise ConfigError((Problem(file, 1, 1, "", "nested too deeply"),)) from None
    if reader.problems:
        raise ConfigError(tuple(reader.problems))
    return document


class _Reader:
    """Walks the node tree once, filling in the document's positions and collecting problems."""

    def __init__(self, loader: yaml.CSafeLoader, document: Document, environment: Mapping[str, str] | None) -> None:
        self.loader = loader
        self.document = document
        self.environment = environment
        self.problems: list[Problem] = []
        self.open_nodes: set[int] = set()
        self.nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        mark = node.start_mark
        self.document.positions.setdefault(path, (mark.line + 1, mark.column + 1))
        with self.unfolding(node):
            if isinstance(node, yaml.ScalarNode):
                return self.scalar(node, path)
            if isinstance(node, yaml.MappingNode):
                return dict(self.items(node, path))
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]

    @contextmanager
    def unfolding(self, node: yaml.Node) -> Iterator[None]:
        """Refuse a node within itself, and a chain of aliases that unfolds without end in sight."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise yaml.constructor.ConstructorError(
                None, None, "aliases unfold to far too many values", node.start_mark
            )
        if id(node) in self.open_nodes:
            raise yaml.constructor.ConstructorError(None, None, "an alias contains itself", node.start_mark)
        self.open_nodes.add(id(node))
        try:
            yield
        finally:
            self.open_nodes.discard(id(node))

    def items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        for key, (key_node, value_node) in self.entries(node, path).items():
            mark = key_node.start_mark
            self.document.positions[(*path, key)] = (mark.line + 1, mark.column + 1)
            yield key, self.value(value_node, (*path, key))

    def entries(self, node: yaml.MappingNode, path: Path) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return key and value nodes by key; what `<<` brings in gives way to the mapping's own keys."""
        self.refuse_duplicates(node, path)
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag != MERGE_TAG:
                own[self.key(key_node, path)] = key_node, value_node
                continue
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for source in reversed(sources):  # of several, the first wins
                if isinstance(source, yaml.MappingNode):
                    with self.unfolding(source):
                        merged |= self.entries(source, path)
                else:
                    self.report(source, path, "<< takes a mapping, or a list of mappings")
        return merged | own

    def key(self, node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == TEXT_TAG:
            return str(node.value)
        self.report(node, path, "a key must be text; put it in quotes")
        return str(node.value)

    def refuse_duplicates(self, node: yaml.MappingNode, path: Path) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen and key_node.tag != MERGE_TAG:
                first = seen[key]
                self.report(key_node, (*path, key), f"stands twice (first on line {first}); remove one of them")
            seen.setdefault(key, key_node.start_mark.line + 1)

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if self.environment is not None and "$" in node.value and node.tag == TEXT_TAG:
            return self.expand(node, path, self.environment)
        if node.tag in NUMBER_TAGS and OTHER_BASE.fullmatch(node.value):
            self.report(node, path, "YAML reads this number to base 8 or 60; write it to base 10, or put it in quotes")
            return None
        try:
            value = self.loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, yaml.constructor.ConstructorError):
            # such as the timestamp 2026-99-99, `!!bool x`, or a password that begins with an exclamation mark
            self.report(node, path, "not a value that YAML understands; put it in quotes")
            return None
        if value is not None and not isinstance(value, str | int | float | bool):
            self.report(node, path, "YAML reads this as a date or as binary data; put it in quotes")
            return None
        return value

    def expand(self, node: yaml.ScalarNode, path: Path, environment: Mapping[str, str]) -> str:
        def replacement(match: re.Match[str]) -> str:
            dollar, name, default, _ = match.groups()
            if dollar:
                return "$"
            if not name:
                self.report(node, path, "write $$ for a dollar sign, or ${NAME} for an environment variable")
                return ""
            value = environment.get(name) or default
            if value is None:
                self.report(
                    node, path, f"the environment variable {name} is not set; set it or write ${{{name}:-default}}"
                )
                return ""
            return value

        return REFERENCE.sub(replacement, node.value)

    def report(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.document.file, mark.line + 1, mark.column + 1, dotted(path), message))
