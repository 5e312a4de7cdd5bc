"""TLS towards a platform: which authorities are trusted, and who this client is, as the files say now."""

import ssl

import structlog

from exporter.file_stamp import stamps
from exporter.settings import TargetSettings, tls_context

logger = structlog.get_logger()


class CurrentTls:
    """The context of targets with the same TLS files, made anew when one of them has changed.

    Files that do not fit together, as in the middle of a rotation, leave the old ones in force and are tried again.
    Raises OSError for files that cannot be used at the start.
    """

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._files = settings.tls_files()
        self._stamps = stamps(self._files)
        self._context = tls_context(settings)
        self._is_complained_of = False

    def context(self) -> ssl.SSLContext:
        """Return what new connections should use; one that needs no file is made once, since that takes 20 ms."""
        if (now := stamps(self._files)) != self._stamps:
            try:
                self._context = tls_context(self._settings)
            except OSError as error:
                if not self._is_complained_of:
                    files = ", ".join(map(str, self._files))
                    logger.warning(
                        "TLS files cannot be used, the old ones stay in force", files=files, error=str(error)
                    )
                self._is_complained_of = True
            else:
                self._stamps, self._is_complained_of = now, False
        return self._context
