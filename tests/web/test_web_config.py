"""The web configuration file: good ones are understood, each bad one is refused with its place and what to do."""

import json
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ConfigError
from exporter.web.access import load
from tests.web.certificates import hashed, write_certificate, write_web_config

HASH = hashed("s3cret")
PAIR = "cert_file: server.crt, key_file: server.key"
VERIFYING = f"{PAIR}, client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert"
VERIFYING_IF_GIVEN = f"{PAIR}, client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, its key, a key of another certificate, and its authority."""
    folder = tmp_path_factory.mktemp("web")
    write_certificate(folder, trustme.CA())
    (folder / "other.key").write_bytes(trustme.CA().issue_cert("other.example.org").private_key_pem.bytes())
    (folder / "empty.pem").touch()
    return folder


def refusal(folder: Path, text: str) -> str:
    """The problems of a file, without its own path."""
    file = write_web_config(folder, text)
    with pytest.raises(ConfigError) as refused:
        load(file)
    return str(refused.value).replace(f"{file}:", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
        "tls_server_config: {cert_file: '', key_file: ''}",
        f"tls_server_config: {{{PAIR}}}",
        f"tls_server_config: {{{PAIR}, min_version: TLS13}}",
        f"tls_server_config: {{{PAIR}, max_version: TLS12}}",
        f"tls_server_config: {{{PAIR}, client_auth_type: NoClientCert}}",
        f"tls_server_config: {{{VERIFYING_IF_GIVEN}}}",
        f"tls_server_config: {{{VERIFYING}, client_allowed_sans: [prometheus.example.org]}}",
        "http_server_config: {http2: true}",
        "http_server_config: {http2: false, headers: {X-Frame-Options: ''}}",
        "http_server_config: {headers: {Content-Security-Policy: default-src 'self', X-XSS-Protection: 1; mode=block}}",
        f"basic_auth_users: {{alice: '{HASH}', bob: '{HASH.replace('$2b', '$2y')}'}}",
    ],
)
def test_good_files_are_accepted(folder: Path, text: str) -> None:
    load(write_web_config(folder, text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls_server_confg: {}", "1:1: tls_server_confg: unknown key; did you mean tls_server_config?"),
        ("junk", "1:1: must be a mapping of keys to values"),
        ("- junk", "1:1: must be a mapping of keys to values"),
        ("a: [", "not valid YAML"),
        ("tls_server_config: {cert: x}", "1:21: tls_server_config.cert: certificates and keys must stand in files"),
        ("tls_server_config: {cert_file: server.crt}", "key_file: cert_file and key_file go together; give both"),
        ("tls_server_config: {key_file: server.key}", "cert_file: cert_file and key_file go together; give both"),
        ("tls_server_config: {min_version: TLS13}", "cert_file: cert_file and key_file go together; give both"),
        (
            "tls_server_config: {cert_file: server.crt, key_file: gone.key}",
            "1:44: tls_server_config.key_file: cannot be read: No such file or directory",
        ),
        ("tls_server_config: {cert_file: gone.crt, key_file: server.key}", "cert_file: cannot be read: No such file"),
        ("tls_server_config: {cert_file: /, key_file: server.key}", "cert_file: cannot be read: Is a directory"),
        ('tls_server_config: {cert_file: "a\\0", key_file: server.key}', "cert_file: must be the path of a file"),
        ("tls_server_config: {cert_file: 7, key_file: server.key}", "cert_file: must be the path of a file"),
        ("tls_server_config: {cert_file: server.crt, key_file: other.key}", "cert_file: is not usable; give PEM"),
        ("tls_server_config: {cert_file: empty.pem, key_file: server.key}", "cert_file: is not usable; give PEM"),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: ca.crt}}",
            "client_ca_file: has no effect without client_auth_type; set it to RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{VERIFYING.replace('ca.crt', 'gone.crt')}}}",
            "client_ca_file: cannot be read: No such",
        ),
        (f"tls_server_config: {{{VERIFYING.replace('ca.crt', 'empty.pem')}}}", "client_ca_file: is not usable"),
        (
            f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}",
            "client_auth_type: RequireAndVerifyClientCert needs client_ca_file",
        ),
        (f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}", "nobody verifies are not supported"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: RequestClientCert}}", "nobody verifies are not supported"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: Always}}", "should be 'NoClientCert', 'VerifyClientCert"),
        (f"tls_server_config: {{{PAIR}, client_allowed_sans: [x]}}", "needs client_auth_type: RequireAndVerify"),
        (
            f"tls_server_config: {{{VERIFYING_IF_GIVEN}, client_allowed_sans: [x]}}",
            "client_allowed_sans: needs client_auth_type: RequireAndVerifyClientCert",
        ),
        (f"tls_server_config: {{{VERIFYING}, client_allowed_sans: []}}", "client_allowed_sans: must not be empty"),
        (f"tls_server_config: {{{VERIFYING}, client_allowed_sans: x}}", "client_allowed_sans: must be a list"),
        (f"tls_server_config: {{{PAIR}, min_version: TLS111}}", "min_version: should be 'TLS12' or 'TLS13'"),
        (f"tls_server_config: {{{PAIR}, min_version: TLS10}}", "insecure and not supported; use TLS12 or TLS13"),
        (f"tls_server_config: {{{PAIR}, max_version: TLS11}}", "insecure and not supported; use TLS12 or TLS13"),
        (f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}", "max_version: is below min_version"),
        (f"tls_server_config: {{{PAIR}, cipher_suites: [X]}}", "cipher_suites: is not supported by this exporter"),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [X25519]}}", "curve_preferences: is not supported"),
        (f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: true}}", "is not supported by this exporter"),
        ("rate_limit: {interval: 1s, burst: 3}", "rate_limit: is not supported by this exporter; leave it out"),
        ("http_server_config: {http2: perhaps}", "http2: must be true or false"),
        ("http_server_config: {headers: {Server: x}}", "1:32: http_server_config.headers.Server: unknown key"),
        ("http_server_config: {headers: {X-Frame-Option: deny}}", "unknown key; did you mean X-Frame-Options?"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "should be 'deny' or 'sameorigin'"),
        ("http_server_config: {headers: {X-Content-Type-Options: sniff}}", "should be 'nosniff'"),
        ('http_server_config: {headers: {X-XSS-Protection: "0\\r\\nSet-Cookie: x"}}', "one line of plain ASCII text"),
        ("http_server_config: {headers: {X-XSS-Protection: 0}}", "X-XSS-Protection: must be text; put it in quotes"),
        ("basic_auth_users: [alice]", "basic_auth_users: must be a mapping of keys to values"),
        ("basic_auth_users: {alice: hunter2}", "1:20: basic_auth_users.alice: must be a bcrypt hash"),
        ("basic_auth_users: {alice: 7}", "basic_auth_users.alice: must be a bcrypt hash"),
        ("basic_auth_users: {alice: }", "basic_auth_users.alice: must be a bcrypt hash"),
        (f"basic_auth_users: {{alice: '{HASH[:-1]}'}}", "basic_auth_users.alice: must be a bcrypt hash"),
        (f"basic_auth_users: {{alice: '{HASH.replace('$04', '$31')}'}}", "must be a bcrypt hash of cost 4 to 18"),
        ("basic_auth_users:\n  alice: !hunter2\n", "2:10: basic_auth_users.alice: not a value that YAML understands"),
        (f"basic_auth_users: {{alice: '{HASH}', alice: '{HASH}'}}", "basic_auth_users.alice: stands twice"),
    ],
)
def test_bad_files_are_refused_with_the_place_and_the_remedy(folder: Path, text: str, problem: str) -> None:
    said = refusal(folder, text)

    assert problem in said
    assert "hunter2" not in said
    assert HASH[7:-1] not in said


def test_every_problem_is_told_at_once(folder: Path) -> None:
    said = refusal(folder, "junk: 1\nbasic_auth_users: {alice: x}\nhttp_server_config: {http2: 7}\n")

    assert [line.split(":")[0] for line in said.splitlines()] == ["1", "2", "3"]


def test_a_file_that_is_not_there_is_told_with_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file or directory; name the file with --web\.con"):
        load(tmp_path / "web.yml")


def test_an_encrypted_key_is_refused_without_asking_for_its_password(folder: Path, tmp_path: Path) -> None:
    encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
    write_certificate(tmp_path, trustme.CA())
    (tmp_path / "server.key").write_text(encrypted)

    assert "an unencrypted key" in refusal(tmp_path, f"tls_server_config: {{{PAIR}}}")


def test_rules_print_no_hash(folder: Path) -> None:
    assert HASH not in repr(load(write_web_config(folder, f"basic_auth_users: {{alice: '{HASH}'}}")))


KEYS = st.sampled_from(
    [
        *("tls_server_config", "http_server_config", "basic_auth_users", "headers", "http2", "cert_file", "key_file"),
        *("client_auth_type", "client_ca_file", "client_allowed_sans", "min_version", "X-Frame-Options", "alice"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["server.crt", "server.key", "ca.crt", "TLS12", "VerifyClientCertIfGiven", "deny", HASH]),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, st.text(max_size=5)), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(document=DOCUMENTS)
def test_whatever_the_file_holds_it_is_loaded_or_refused(folder: Path, document: object) -> None:
    loaded_or_refused(write_web_config(folder, json.dumps(document)))


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_whatever_bytes_the_file_holds_they_are_loaded_or_refused(folder: Path, content: bytes) -> None:
    file = folder / "web.yml"
    file.write_bytes(content)

    loaded_or_refused(file)


def loaded_or_refused(file: Path) -> None:
    """Fails with whatever else comes of the file."""
    try:
        load(file)
    except ConfigError:
        return
