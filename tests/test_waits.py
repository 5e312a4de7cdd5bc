"""What the tests wait for is an event; the only limit, there to end a test that fails, is the same for all."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = sorted(Path(__file__).parent.rglob("*.py"))
LIMITS_AT = {"timeout": 0, "wait_for": 1}
"""The place of the seconds among the arguments of asyncio's functions."""


def hasty(source: str) -> Iterator[str]:
    """Yield the calls that give up after seconds of their own: a number, or the five seconds that httpx waits."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, arguments = node.func.attr, {keyword.arg: keyword.value for keyword in node.keywords}
        limit = arguments.get("timeout")
        if name == "AsyncClient" and "transport" not in arguments and limit is None:
            yield ast.unparse(node)
        if name in LIMITS_AT and limit is None and len(node.args) > LIMITS_AT[name]:
            limit = node.args[LIMITS_AT[name]]
        if name in {"AsyncClient", *LIMITS_AT} and isinstance(limit, ast.Constant):
            yield ast.unparse(node)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_no_test_gives_up_after_seconds_of_its_own(file: Path) -> None:
    assert list(hasty(file.read_text(encoding="utf-8"))) == []


def test_each_way_of_giving_up_is_found() -> None:
    calls = ("httpx.AsyncClient()", "httpx.AsyncClient(timeout=5)", "asyncio.timeout(2)", "asyncio.wait_for(done, 5)")
    patient = "httpx.AsyncClient(transport=demo), asyncio.timeout(PATIENCE_SECONDS), asyncio.wait_for(a, timeout=LONG)"

    assert list(hasty(", ".join((*calls, patient)))) == list(calls)
