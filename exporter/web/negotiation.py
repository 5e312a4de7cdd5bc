"""What a scraper prefers: the format and the encoding, by the quality values of its Accept headers."""

from exporter.exposition import Format


def negotiate(accept: str) -> Format:
    """Choose by an Accept header; OpenMetrics only when asked for by name and not liked less than plain text."""
    found = qualities(accept)
    wanted = found.get("application/openmetrics-text", 0.0)
    plain = max(found.get(media_type, 0.0) for media_type in ("text/plain", "text/*", "*/*"))
    return Format.OPENMETRICS if wanted > 0 and wanted >= plain else Format.TEXT


def prefers_gzip(accept_encoding: str) -> bool:
    """Tell by an Accept-Encoding header whether gzip is accepted and not liked less than no encoding."""
    found = qualities(accept_encoding)
    gzip = found.get("gzip", found.get("*", 0.0))
    return gzip > 0 and gzip >= found.get("identity", 0.0)


def qualities(header: str) -> dict[str, float]:
    """Return the quality value of every name in the header, in lower case; the highest where a name stands twice."""
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
        found[name] = max(found.get(name, 0.0), _quality(quality))
    return found


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
