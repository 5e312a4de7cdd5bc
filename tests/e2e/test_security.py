"""Nobody is told a secret or a person, and nothing leaves but what may, whatever platforms do; see `tests.sweep`."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.organisation import organisation
from exporter.demo.server import GENEROUS_LIMITS, serve
from tests.forward_proxy import Sent, forward_proxy
from tests.leaks import leaks
from tests.sweep import CANARY, SECRETS, TOKEN_PATH, Swept, sweep
from tests.test_faults_over_http import STATES

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREDENTIAL_HEADERS = {
    konstantly.API_KEY: "x-api-key",
    viktor.TOKEN: "authorization",
    pybossa.ADMIN_KEY: "authorization",
    learning360.API_KEY: "x-apikey",
}
"""The one header in which each credential may travel, from the references of the platforms."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def swept(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Swept]:
    folder = tmp_path_factory.mktemp("sweep")
    now = datetime.now(UTC)
    young = organisation(7, now.date() - timedelta(days=40))
    async with serve(young, lambda: now, options=GENEROUS_LIMITS) as site, forward_proxy() as proxy:
        yield await sweep(folder, site, proxy, young, now)


async def test_every_state_was_shown(swept: Swept) -> None:
    """So the faults were not only sent, which the sweep waits for, but met."""
    assert {str(state) for state in STATES.values()} <= {state for _, state in swept.states}
    assert {("learning", "unauthorized"), ("dark", "unreachable")} <= swept.states


async def test_a_leak_would_be_found_in_every_place(swept: Swept) -> None:
    """The name of a target is told wherever targets are, as a secret would be that had got there."""
    without_targets = {
        "GET /-/healthy",
        "GET /-/ready",
        "POST /-/reload",
        "PUT /-/reload",
        "check",
        "errors of the server",
    }
    silent = {place for place in swept.places if CANARY not in leaks(swept.told(place), [CANARY])}
    assert {place for place in silent if not place.startswith("HEAD ")} <= without_targets
    assert {"log logfmt", "log json", "storage", "GET /metrics", "GET /", "check --probe"} <= set(swept.places)


async def test_no_secret_and_no_person_is_told_anywhere(swept: Swept) -> None:
    private = SECRETS | tokens(swept.sent) | swept.persons

    assert len(tokens(swept.sent)) > 1
    assert [(place, leak) for place in swept.places for leak in leaks(swept.told(place), private)] == []
    assert [text for text in private for file in swept.files if text.encode() in file] == []
    assert any(CANARY.encode() in file for file in swept.files)


def tokens(sent: Iterable[Sent]) -> set[str]:
    """The OAuth2 tokens that 360Learning gave out, and the forms of credentials that only headers have."""
    values = {request.headers.get("authorization", "") for request in sent}
    proxy_logins = {request.headers["proxy-authorization"].removeprefix("Basic ") for request in sent}
    return {value.removeprefix("Bearer ") for value in values if value.startswith("Bearer eyJ")} | proxy_logins


async def test_only_get_and_the_token_request_leave(swept: Swept) -> None:
    """`CONNECT` is how HTTPS goes through a proxy; it names the host of the target out of reach and nothing else."""
    others = {(request.method, request.url) for request in swept.sent if request.method != "GET"}

    assert others == {
        ("POST", f"{swept.urls['learning']}{TOKEN_PATH}"),
        ("CONNECT", "dark.invalid:443"),
    }


async def test_requests_go_to_the_targets_own_origins_only(swept: Swept) -> None:
    """However often redirects and links to next pages pointed elsewhere."""
    assert {request.origin for request in swept.sent if request.method != "CONNECT"} == set(swept.urls.values())


async def test_a_credential_goes_in_its_own_header_to_its_own_platform_only(swept: Swept) -> None:
    homes = {
        konstantly.API_KEY: swept.urls[CANARY],
        viktor.TOKEN: swept.urls["bridges"],
        pybossa.ADMIN_KEY: swept.urls["crowd"],
        learning360.API_KEY: swept.urls["learning"],
        **dict.fromkeys((one for one in tokens(swept.sent) if one.startswith("eyJ")), swept.urls["learning"]),
    }
    headers = {(name, value, request.origin) for request in swept.sent for name, value in request.headers.items()}
    used = {(secret, name, origin) for name, value, origin in headers for secret in leaks(value, homes)}

    assert used == {(secret, CREDENTIAL_HEADERS.get(secret, "authorization"), home) for secret, home in homes.items()}
    assert {request.method for request in swept.sent if learning360.CLIENT_SECRET in request.body.decode()} == {"POST"}
    assert not [one for one in swept.sent if learning360.CLIENT_SECRET in str(one.headers)]


async def test_no_address_holds_a_secret_and_no_request_a_cookie(swept: Swept) -> None:
    addresses = "\n".join({request.url for request in swept.sent})

    assert leaks(addresses, SECRETS | tokens(swept.sent)) == []
    assert {name for request in swept.sent for name in request.headers} & {"cookie", "referer", "origin"} == set()
