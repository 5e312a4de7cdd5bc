"""What the web configuration protects: bad files stop the command before it listens, good ones refuse strangers.

The bad files are those that exporter-toolkit's own tests refuse, and those that it accepts and this exporter cannot
honour: protection that is written down and not there is worse than none. `tests/web` has the details.
"""

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from click.testing import CliRunner

from exporter.cli import main
from tests.command import PATIENCE_SECONDS, run, running_with_log
from tests.leaks import leaks
from tests.web.certificates import TLS, hashed, trusting, write_certificate, write_web_config

CONFIG = "targets: [{name: crowd, platform: pybossa, url: 'http://127.0.0.1:9'}]\n"
PASSWORD = "passw0rd-of-alice"
HASH = hashed(PASSWORD)
PAIR = "cert_file: server.crt, key_file: server.key"

BAD = {
    "client CAs that are no certificates": f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert,"
    " client_ca_file: junk}",
    "client CAs missing": f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
    "client CAs as text": f"tls_server_config: {{{PAIR}, client_ca: junk}}",
    "a client's common name": f"tls_server_config: {{{PAIR}, client_common_names: [prometheus]}}",
    "names of clients as patterns": f"tls_server_config: {{{PAIR}, client_allowed_sans_regex: ['.*']}}",
    "names of clients without certificates": f"tls_server_config: {{{PAIR}, client_allowed_sans: [prometheus]}}",
    "an empty certificate path": "tls_server_config: {cert_file: '', key_file: server.key}",
    "a certificate that is not there": "tls_server_config: {cert_file: gone, key_file: server.key}",
    "neither path": "tls_server_config: {cert_file: '', key_file: '', client_auth_type: RequireAnyClientCert}",
    "neither file there": "tls_server_config: {cert_file: gone, key_file: gone}",
    "an empty key path": "tls_server_config: {cert_file: server.crt, key_file: ''}",
    "a key that is not there": "tls_server_config: {cert_file: server.crt, key_file: gone}",
    "a key as text": f"tls_server_config: {{cert_file: server.crt, key: {PASSWORD}}}",
    "invented ciphers": f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_2048]}}",
    "invented curves": f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP257]}}",
    "a wrong TLS version": f"tls_server_config: {{{PAIR}, min_version: TLS111}}",
    "an unknown way to ask for certificates": f"tls_server_config: {{{PAIR}, client_auth_type: Maybe}}",
    "certificates that nobody verifies": f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}",
    "users as a list": "basic_auth_users: [alice]",
    "a password instead of a hash": f"basic_auth_users: {{alice: {PASSWORD}}}",
    "paths without a password": f"basic_auth_users: {{alice: '{HASH}'}}\nauth_excluded_paths: [/metrics]",
    "tokens": f"bearer_auth_tokens: [{PASSWORD}]",
    "a limit of requests": "rate_limit: {interval: 1s, burst: 1}",
    "options of sockets": "ip_socket_config: {dscp: 64}",
    "another header": f"http_server_config: {{headers: {{Authorization: {PASSWORD}}}}}",
    "a header of a wrong value": "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "a mistyped key": "basic_auth_user: {alice: x}",
    "junk": "junk",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, a certificate, and a file that is no certificate."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "junk").write_text("junk\n")
    return tmp_path


@pytest.fixture
def ca(folder: Path) -> trustme.CA:
    """The authority of the folder's certificate."""
    ca = trustme.CA()
    write_certificate(folder, ca)
    return ca


@pytest.mark.usefixtures("ca")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_at_its_place_without_a_password_or_a_hash(folder: Path, name: str) -> None:
    web = write_web_config(folder, BAD[name])
    files = ["--config.file", str(folder / "config.yaml"), "--web.config.file", str(web)]
    checked = CliRunner().invoke(main, ["check", *files])

    assert checked.exit_code == 1
    assert checked.stderr.startswith(f"{web}:")
    assert leaks(checked.output, [PASSWORD, HASH, HASH[7:]]) == []


@pytest.mark.usefixtures("ca")
@pytest.mark.parametrize("name", ["a password instead of a hash", "client CAs missing", "tokens"])
async def test_no_bad_file_leaves_the_endpoints_open(folder: Path, name: str) -> None:
    web = write_web_config(folder, BAD[name])
    end = await run("--config.file", folder / "config.yaml", "--storage.path=", "--web.config.file", web)

    assert end.code == 1
    assert end.err.startswith(f"{web}:")
    assert "listening" not in end.err


async def test_strangers_are_refused_and_nothing_of_a_login_is_told(folder: Path, ca: trustme.CA) -> None:
    """Certificate and password together, as strict as it gets: each stranger lacks one thing."""
    verifying = TLS.replace("}", ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}")
    web = write_web_config(folder, f"{verifying}basic_auth_users: {{alice: '{HASH}'}}\n")
    client = ca.issue_cert("prometheus.example.org")
    login, wrong = ("alice", PASSWORD), ("alice", f"{PASSWORD}x")
    strangers = {
        "no TLS": ("http", None, login),
        "an authority that is not trusted": ("https", ssl.create_default_context(), login),
        "no certificate": ("https", trusting(ca), login),
        "a foreign certificate": ("https", trusting(ca, trustme.CA().issue_cert("prometheus.example.org")), login),
        "no password": ("https", trusting(ca, client), None),
        "a wrong password": ("https", trusting(ca, client), wrong),
        "an unknown user": ("https", trusting(ca, client), ("bob", PASSWORD)),
    }
    flags = ("--config.file", folder / "config.yaml", "--storage.path=", "--web.config.file", web, "--log.level=debug")
    async with running_with_log(folder / "log", *flags) as exporter:
        address = exporter.url.removeprefix("http://")
        got = {name: await status(address, *stranger) for name, stranger in strangers.items()}
        let_in = await status(address, "https", trusting(ca, client), login)

    assert let_in == 200
    assert got == dict.fromkeys(list(strangers)[:4], 0) | dict.fromkeys(list(strangers)[4:], 401)
    assert leaks((folder / "log").read_text(), [PASSWORD, HASH[7:]]) == []


async def status(address: str, scheme: str, tls: ssl.SSLContext | None, login: tuple[str, str] | None) -> int:
    """The status of an answer over a new connection, 0 without one."""
    async with httpx.AsyncClient(verify=tls or False, auth=login, trust_env=False, timeout=PATIENCE_SECONDS) as http:
        try:
            return (await http.get(f"{scheme}://{address}/metrics")).status_code
        except httpx.TransportError:
            return 0
