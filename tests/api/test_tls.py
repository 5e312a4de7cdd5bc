"""TLS towards a platform while its files change."""

from pathlib import Path

import httpx
import pytest
import trustme
from structlog.testing import capture_logs

from exporter.api.tls import CurrentTls
from exporter.settings import TargetSettings
from exporter.web.access import Access
from tests.command import PATIENCE_SECONDS
from tests.test_settings import settings
from tests.web.certificates import TLS, Endpoints, replace, served, write_certificate, write_web_config

VERIFYING = TLS.replace("}", ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}")


def write_client_certificate(folder: Path, ca: trustme.CA) -> None:
    certificate = ca.issue_cert("exporter.example")
    replace(folder / "client.crt", certificate.cert_chain_pems[0].bytes())
    replace(folder / "client.key", certificate.private_key_pem.bytes())


def rotated(folder: Path) -> trustme.CA:
    """A folder whose certificates are all of a new authority."""
    ca = trustme.CA()
    write_certificate(folder, ca)
    write_client_certificate(folder, ca)
    return ca


def all_files(folder: Path) -> TargetSettings:
    return settings(folder, ca_file="ca.crt", client_cert_file="client.crt", client_key_file="client.key")


async def test_a_new_authority_and_a_new_client_certificate_count_from_the_next_connection(tmp_path: Path) -> None:
    rotated(tmp_path)
    tls = CurrentTls(all_files(tmp_path))
    async with served(Access(write_web_config(tmp_path, VERIFYING)), Endpoints()) as address:
        for _ in range(3):
            async with httpx.AsyncClient(verify=tls.context(), trust_env=False, timeout=PATIENCE_SECONDS) as http:
                assert (await http.get(f"https://{address}/")).status_code == 200
            rotated(tmp_path)


def test_files_that_do_not_fit_together_leave_the_old_ones_in_force(tmp_path: Path) -> None:
    ca = rotated(tmp_path)
    tls = CurrentTls(all_files(tmp_path))
    before = tls.context()
    key = (tmp_path / "client.key").read_bytes()

    with capture_logs() as logs:
        write_client_certificate(tmp_path, ca)
        new_key = (tmp_path / "client.key").read_bytes()
        replace(tmp_path / "client.key", key)
        assert [tls.context(), tls.context()] == [before, before]
        replace(tmp_path / "client.key", new_key)
        assert tls.context() is not before

    assert [log["event"] for log in logs] == ["TLS files cannot be used, the old ones stay in force"]
    assert "PRIVATE" not in str(logs)


def test_without_a_change_the_context_is_made_once(tmp_path: Path) -> None:
    rotated(tmp_path)
    for tls in (CurrentTls(all_files(tmp_path)), CurrentTls(settings())):
        assert tls.context() is tls.context()


def test_files_that_are_wrong_at_the_start_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"ca\.pem"):
        CurrentTls(settings(tmp_path, ca_file="ca.pem"))
