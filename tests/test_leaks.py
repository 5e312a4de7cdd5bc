"""What searches for leaks must be able to find one, in whatever form it stands, and nothing else."""

import base64
import html
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from urllib.parse import quote, quote_plus

import pytest

from exporter.demo.organisation import organisation
from tests.leaks import leaks, people

PRIVATE = ("demo-konstantly-key", "Zoë O'Brien", "zoë.obrien.7@example.org", "volunteer12", "198.18.0.7")
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a label": lambda text: f'name="{text}"',
    "percent-encoded": lambda text: quote(text, safe=""),
    "as a form sends it": quote_plus,
    "JSON": json.dumps,
    "JSON within JSON": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode("latin-1")),
    "after an escape": lambda text: f"\\n{text}\\n",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without its end": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "a login in base64": lambda text: "Basic " + base64.b64encode(f"prometheus:{text}".encode()).decode(),
    "base64 in a path": lambda text: "/v1/" + base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", PRIVATE)
def test_a_leak_is_found_in_every_form(form: str, text: str) -> None:
    told = f"level=error error={FORMS[form](text)} remedy=none"

    assert leaks(told, PRIVATE) == [text]


def test_harmless_text_is_left_alone() -> None:
    told = "konstantly_users 19\nGET /users/{user} answered 401\nvolunteer1 Zoë 198.18.0.77 demo-konstantly\n"

    assert leaks(told, PRIVATE) == []


def test_everybody_of_the_demo_organisation_is_known() -> None:
    demo, now = organisation(7, date(2026, 1, 20)), datetime(2026, 2, 27, tzinfo=UTC)

    known = people(demo, now)

    assert {demo.academy.people(now)[0].mail, demo.engineering.people(now)[-1].email} <= known
    assert {demo.crowd.users(now)[3].name, demo.crowd.users(now)[3].fullname} <= known
    assert len(known) > 3_000
