"""Headers of every answer that a browser may show: nothing is loaded, run, sent, framed, guessed or kept."""

import base64
import hashlib

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def headers_with_style(style: str) -> dict[str, str]:
    """Return the headers of a page whose one style element holds exactly `style`."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {**SECURITY_HEADERS, "Content-Security-Policy": f"{POLICY}; style-src 'sha256-{digest}'"}
