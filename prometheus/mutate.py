"""Proves that the rules' tests notice every change of an alert: changes one thing at a time and runs promtool.

`python -m prometheus.mutate` prints the changes that no test noticed and exits with 1 if there are any. Changed are the
thresholds, times and ranges of the expression, `for`, and the labels, of the rules in the files that hold alerts.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from prometheus.generate import RULES, Rule, rules

TESTS = RULES.parent / "tests"
TOKEN = re.compile(
    r"""(?P<text>"[^"]*") | (?P<name>[a-zA-Z_:][\w:]*) | (?P<duration>\d+[smhdw]) | (?P<number>\d+(?:\.\d+)?)""",
    re.VERBOSE,
)
FURTHER, NEARER = 1.1, 0.9
LATER, SOONER = 1.2, 0.8
LONGER, SHORTER = 2.0, 0.5
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one rule: `index` is the rule's place in its file, None as the value removes the key."""

    file: str
    index: int
    rule: str
    path: tuple[str, ...]
    before: str
    after: str | None

    def __str__(self) -> str:
        place = f"{self.file}: {self.rule}: {'.'.join(self.path)}"
        if self.after is None:
            return f"{place}: removed"
        lines = zip(self.before.splitlines(), self.after.splitlines(), strict=True)
        return "\n".join(f"{place}: {before} -> {after}" for before, after in lines if before != after)


def mutants() -> Iterator[Mutant]:
    """Yield every change, of every rule of the files that hold alerts."""
    for file in sorted(RULES.glob("*.yml")):
        found = list(rules(file.read_text(encoding="utf-8")))
        if any(rule.alert for rule in found):
            for index, rule in enumerate(found):
                for path, before, after in _changes(rule):
                    yield Mutant(file.name, index, rule.alert or rule.record, path, before, after)


def _changes(rule: Rule) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    for expression in _expressions(rule.expr):
        yield ("expr",), rule.expr, expression
    if rule.alert:
        for factor in (SOONER, LATER):
            yield ("for",), rule.for_, _scaled(rule.for_, factor)
        yield ("for",), rule.for_, None
    for name, value in rule.labels.items():
        yield ("labels", name), value, f"not {value}"
        yield ("labels", name), value, None


def _expressions(expression: str) -> Iterator[str]:
    """Yield the expression with one number or duration changed."""
    for token in TOKEN.finditer(expression):
        head, tail = expression[: token.start()], expression[token.end() :]
        if token["number"] and float(token[0]) == 0:
            yield f"{head}1{tail}"
        elif token["number"]:
            yield from (f"{head}{float(token[0]) * factor:g}{tail}" for factor in (NEARER, FURTHER))
        elif token["duration"]:
            yield from (f"{head}{_scaled(token[0], factor)}{tail}" for factor in (SHORTER, LONGER))


def _scaled(duration: str, factor: float) -> str:
    return f"{round(int(duration[:-1]) * SECONDS[duration[-1]] * factor)}s"


def survives(mutant: Mutant) -> bool:
    """Run the tests that name the rule against the changed rules; True if none of them fails."""
    document = yaml.safe_load((RULES / mutant.file).read_text(encoding="utf-8"))
    [group] = document["groups"]
    changed = group["rules"][mutant.index]
    *parents, key = mutant.path
    for parent in parents:
        changed = changed[parent]
    if mutant.after is None:
        del changed[key]
    else:
        changed[key] = mutant.after
    every = {f"tests/{file.name}": file.read_text(encoding="utf-8") for file in sorted(TESTS.glob("*.yml"))}
    tests = {name: text for name, text in every.items() if mutant.rule in text}
    # what these tests do not ask for only costs time
    group["rules"] = [rule for rule in group["rules"] if "record" in rule or rule["alert"] in "".join(tests.values())]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {f"rules/{mutant.file}": yaml.safe_dump(document), **tests}.items():
            copy = Path(folder, name)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        command = ["promtool", "test", "rules", *tests]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Try every change, several at a time."""
    every = list(mutants())
    with ThreadPoolExecutor() as pool:
        survivors = [mutant for mutant, alive in zip(every, pool.map(survives, every), strict=True) if alive]
    print("\n".join([*map(str, survivors), f"{len(every)} changes, {len(survivors)} unnoticed"]))
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
