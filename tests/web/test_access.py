"""The endpoints over real sockets: TLS, client certificates, passwords, headers, and files that change meanwhile."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from structlog.testing import capture_logs

from exporter.errors import ConfigError
from exporter.web.access import Access
from exporter.web.basic_auth import MOST_WAITING
from exporter.web.tls import subject_alternative_names
from tests.command import PATIENCE_SECONDS
from tests.web.certificates import (
    TLS,
    CountedBcrypt,
    Endpoints,
    hashed,
    replace,
    served,
    trusting,
    write_certificate,
    write_web_config,
)

HASH = hashed("s3cret")
USERS = f"basic_auth_users: {{alice: '{HASH}'}}\n"
VERIFYING = TLS.replace("}", ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}")


@pytest.fixture
def ca() -> trustme.CA:
    """An authority of this test alone."""
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, ca: trustme.CA) -> Path:
    """A folder with a certificate for 127.0.0.1."""
    write_certificate(tmp_path, ca)
    return tmp_path


async def status(url: str, context: ssl.SSLContext | bool = True, auth: tuple[str, str] | None = None) -> int:
    """The status of an answer over a new connection. Raises httpx.TransportError without one."""
    async with httpx.AsyncClient(verify=context, auth=auth, trust_env=False, timeout=PATIENCE_SECONDS) as http:
        return (await http.get(url)).status_code


async def test_https_is_served_and_http_is_not(folder: Path, ca: trustme.CA) -> None:
    endpoints = Endpoints()
    async with served(Access(write_web_config(folder, TLS)), endpoints) as address:
        assert await status(f"https://{address}/metrics", trusting(ca)) == 200
        with pytest.raises(httpx.TransportError):
            await status(f"http://{address}/plain")
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await status(f"https://{address}/untrusted")

    assert endpoints.paths == ["/metrics"]


async def test_without_tls_the_file_leaves_http(folder: Path) -> None:
    async with served(Access(write_web_config(folder, USERS)), Endpoints()) as address:
        assert await status(f"http://{address}/metrics", auth=("alice", "s3cret")) == 200


@pytest.mark.parametrize(
    ("keys", "lowest", "highest", "accepted"),
    [
        ("", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, True),
        ("", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True),
        (", min_version: TLS13", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, False),
        (", min_version: TLS13", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True),
        (", max_version: TLS12", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, False),
        (", max_version: TLS12", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_versions_outside_the_range_are_refused(
    folder: Path, ca: trustme.CA, keys: str, lowest: ssl.TLSVersion, highest: ssl.TLSVersion, accepted: bool
) -> None:
    context = trusting(ca)
    context.minimum_version, context.maximum_version = lowest, highest
    async with served(Access(write_web_config(folder, TLS.replace("}", f"{keys}}}"))), Endpoints()) as address:
        if accepted:
            assert await status(f"https://{address}/", context) == 200
        else:
            with pytest.raises(httpx.TransportError):
                await status(f"https://{address}/", context)


@pytest.mark.parametrize(
    ("client_auth_type", "shown", "accepted"),
    [
        ("RequireAndVerifyClientCert", "good", True),
        ("RequireAndVerifyClientCert", "none", False),
        ("RequireAndVerifyClientCert", "foreign", False),
        ("VerifyClientCertIfGiven", "good", True),
        ("VerifyClientCertIfGiven", "none", True),
        ("VerifyClientCertIfGiven", "foreign", False),
    ],
)
async def test_client_certificates(
    folder: Path, ca: trustme.CA, client_auth_type: str, shown: str, accepted: bool
) -> None:
    certificate = {"good": ca, "foreign": trustme.CA()}[shown].issue_cert("client") if shown != "none" else None
    text = VERIFYING.replace("RequireAndVerifyClientCert", client_auth_type)
    endpoints = Endpoints()
    async with served(Access(write_web_config(folder, text)), endpoints) as address:
        if accepted:
            assert await status(f"https://{address}/metrics", trusting(ca, certificate)) == 200
        else:
            with pytest.raises(httpx.TransportError):
                await status(f"https://{address}/metrics", trusting(ca, certificate))

    assert endpoints.paths == (["/metrics"] if accepted else [])


@pytest.mark.parametrize(
    ("allowed", "names", "accepted"),
    [
        ("prometheus.example.org", ["prometheus.example.org"], True),
        ("prometheus.example.org", ["other.example.org", "prometheus.example.org"], True),
        ("prometheus.example.org", ["other.example.org"], False),
        ("prometheus.example.org", ["*.example.org"], False),
        ("prometheus@example.org", ["prometheus@example.org"], True),
        ("10.0.0.7", ["10.0.0.7"], True),
        ("'2001:db8::7'", ["2001:db8::7"], True),
        ("10.0.0.7", ["10.0.0.8"], False),
        ("a.example.org, b.example.org", ["b.example.org"], True),
    ],
)
async def test_clients_of_other_names_are_refused_before_their_request(
    folder: Path, ca: trustme.CA, allowed: str, names: list[str], accepted: bool
) -> None:
    text = VERIFYING.replace("}", f", client_allowed_sans: [{allowed}]}}")
    context = trusting(ca, ca.issue_cert(*names))
    endpoints = Endpoints()
    with capture_logs() as logs:
        async with served(Access(write_web_config(folder, text)), endpoints) as address:
            if accepted:
                assert await status(f"https://{address}/metrics", context) == 200
            else:
                with pytest.raises(httpx.TransportError):
                    await status(f"https://{address}/metrics", context)

    assert endpoints.paths == (["/metrics"] if accepted else [])
    assert any("client_allowed_sans" in line["event"] for line in logs) is not accepted


def test_names_of_every_kind_are_read() -> None:
    """As `getpeercert` writes them, IPv6 addresses in their long form."""
    names = (
        ("DNS", "a.example.org"),
        ("email", "a@example.org"),
        ("URI", "spiffe://example.org/a"),
        ("IP Address", "2001:DB8:0:0:0:0:0:7"),
        ("DirName", ((("commonName", "a"),),)),
    )

    assert list(subject_alternative_names({"subjectAltName": names})) == [
        "a.example.org",
        "a@example.org",
        "spiffe://example.org/a",
        "2001:db8::7",
    ]
    assert list(subject_alternative_names({})) == []


async def test_a_replaced_certificate_is_used_for_the_next_connection(folder: Path, ca: trustme.CA) -> None:
    """Between the two files of a new pair the old pair stays in force, and the log says why."""
    new_ca = trustme.CA()
    new = new_ca.issue_cert("127.0.0.1")
    async with served(Access(write_web_config(folder, TLS)), Endpoints()) as address:
        assert await status(f"https://{address}/", trusting(ca)) == 200

        with capture_logs() as logs:
            replace(folder / "server.crt", new.cert_chain_pems[0].bytes())
            assert await status(f"https://{address}/", trusting(ca)) == 200
            replace(folder / "server.key", new.private_key_pem.bytes())
            assert await status(f"https://{address}/", trusting(new_ca)) == 200

        with pytest.raises(httpx.ConnectError):
            await status(f"https://{address}/", trusting(ca))
    assert [line["log_level"] for line in logs] == ["error", "info"]


async def test_an_authority_that_is_taken_away_is_no_longer_trusted(folder: Path, ca: trustme.CA) -> None:
    context = trusting(ca, ca.issue_cert("client"))
    async with served(Access(write_web_config(folder, VERIFYING)), Endpoints()) as address:
        assert await status(f"https://{address}/", context) == 200
        replace(folder / "ca.crt", trustme.CA().cert_pem.bytes())
        with pytest.raises(httpx.TransportError):
            await status(f"https://{address}/", context)


async def test_every_path_asks_for_a_password(folder: Path) -> None:
    endpoints = Endpoints()
    async with served(Access(write_web_config(folder, USERS)), endpoints) as address:
        for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"):
            assert await status(f"http://{address}{path}") == 401
            assert await status(f"http://{address}{path}", auth=("alice", "wrong")) == 401
            assert await status(f"http://{address}{path}", auth=("carol", "s3cret")) == 401
        assert endpoints.paths == []
        assert await status(f"http://{address}/-/healthy", auth=("alice", "s3cret")) == 200


async def test_the_headers_of_the_file_are_on_every_answer(folder: Path) -> None:
    """Also on the refusal, and in the place of the application's own."""
    headers = "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=60}}\n"
    access = Access(write_web_config(folder, USERS + headers))
    async with served(access, Endpoints()) as address, httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        refused = await http.get(f"http://{address}/")
        answered = await http.get(f"http://{address}/", auth=("alice", "s3cret"))

    assert (refused.status_code, answered.status_code) == (401, 200)
    assert refused.headers["www-authenticate"].startswith("Basic realm=")
    for response in (refused, answered):
        assert response.headers.get_list("x-frame-options") == ["deny"]
        assert response.headers["strict-transport-security"] == "max-age=60"


async def test_a_changed_file_is_applied_and_a_wrong_one_is_not(folder: Path) -> None:
    new_hash = hashed("n3w")
    async with served(Access(write_web_config(folder, USERS)), Endpoints()) as address:
        url = f"http://{address}/"
        assert await status(url, auth=("alice", "s3cret")) == 200

        write_web_config(folder, USERS.replace(HASH, new_hash))
        assert await status(url, auth=("alice", "s3cret")) == 401
        assert await status(url, auth=("alice", "n3w")) == 200

        with capture_logs() as logs:
            write_web_config(folder, "basic_auth_users: {alice: hunter2, bob: " + HASH)
            assert [await status(url, auth=("alice", "n3w")) for _ in range(3)] == [200] * 3
            (folder / "web.yml").unlink()
            assert await status(url) == 401
            write_web_config(folder, "basic_auth_users: {alice: hunter2}")
            assert await status(url, auth=("alice", "n3w")) == 200

    assert len(logs) == 3
    assert "hunter2" not in str(logs)
    assert HASH[7:] not in str(logs)


async def test_tls_cannot_be_switched_off_by_a_change(folder: Path, ca: trustme.CA) -> None:
    async with served(Access(write_web_config(folder, TLS)), Endpoints()) as address:
        with capture_logs() as logs:
            write_web_config(folder, USERS)
            assert await status(f"https://{address}/", trusting(ca)) == 200

    assert "TLS cannot be switched on or off while the exporter runs" in logs[0]["error"]


@pytest.mark.parametrize("emptied", ["", "{}", "basic_auth_users: {}", "http_server_config: {}"])
async def test_a_file_that_is_emptied_by_accident_lets_nobody_in(emptied: str, folder: Path) -> None:
    """Until a restart, which is how somebody says that it is meant."""
    async with served(Access(write_web_config(folder, USERS)), Endpoints()) as address:
        with capture_logs() as logs:
            write_web_config(folder, emptied)
            assert await status(f"http://{address}/") == 401
            assert await status(f"http://{address}/", auth=("alice", "s3cret")) == 200

    assert ["passwords cannot be switched off while the exporter runs" in log["error"] for log in logs] == [True]
    async with served(Access(folder / "web.yml"), Endpoints()) as address:
        assert await status(f"http://{address}/") == 200


async def test_client_certificates_cannot_become_unnecessary_by_a_change(folder: Path, ca: trustme.CA) -> None:
    async with served(Access(write_web_config(folder, VERIFYING)), Endpoints()) as address:
        with capture_logs() as logs:
            write_web_config(folder, TLS)
            assert await status(f"https://{address}/", trusting(ca, ca.issue_cert("client.example"))) == 200
            with pytest.raises(httpx.TransportError):
                await status(f"https://{address}/", trusting(ca))

    assert "client certificates cannot become unnecessary while the exporter runs" in logs[0]["error"]


def test_a_wrong_file_prevents_the_start(folder: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        Access(write_web_config(folder, "users: {}"))


async def test_the_second_good_request_costs_no_bcrypt(folder: Path) -> None:
    checkpw = CountedBcrypt()
    async with served(Access(write_web_config(folder, USERS), checkpw), Endpoints()) as address:
        for _ in range(3):
            assert await status(f"http://{address}/metrics", auth=("alice", "s3cret")) == 200

    assert len(checkpw.asked) == 1


async def test_too_many_logins_at_once_are_put_off_and_a_known_user_is_not(folder: Path) -> None:
    checkpw = CountedBcrypt()
    async with served(Access(write_web_config(folder, USERS), checkpw), Endpoints()) as address:
        url = f"http://{address}/"
        assert await status(url, auth=("alice", "s3cret")) == 200
        checkpw.gate.clear()
        try:
            wrong = {asyncio.create_task(status(url, auth=("bob", str(n)))) for n in range(MOST_WAITING + 1)}
            put_off, waiting = await asyncio.wait(wrong, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in put_off] == [429]
            assert await status(url, auth=("alice", "s3cret")) == 200
        finally:
            checkpw.gate.set()
        assert await asyncio.gather(*waiting) == [401] * MOST_WAITING
