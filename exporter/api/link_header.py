"""The header `Link` as RFC 8288 defines it, and as servers write it: targets without <>, values in single quotes."""

import re

TARGET = re.compile(r"[\s,]*(?:<([^<>]*)>|([^\s<>;,\"]+))[ \t]*")
PARAMETER = re.compile(
    r";[ \t]*(?:(?P<name>[\w!#$%&'*+.^`|~-]+)[ \t]*"
    r"(?:=[ \t]*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s;,\"<>]*)))?)?[ \t]*"
)
END = re.compile(r"[ \t]*(?:,[\s,]*|$)")


def next_target(header: str) -> str | None:
    """Return the target of the first link whose relation types include `next`, None without one.

    Relation types are apart by spaces and no case of theirs counts; only the first `rel` of a link does. Raises
    ValueError for a header that cannot be read to its end: it may hold a next page that nobody then asks for.
    """
    position, found = 0, None
    while position < len(header.rstrip(", \t")):
        target = TARGET.match(header, position)
        if target is None:
            raise ValueError("not a Link header")
        position = target.end()
        relations: str | None = None
        while parameter := PARAMETER.match(header, position):
            position = parameter.end()
            if (parameter["name"] or "").lower() == "rel" and relations is None:
                relations = parameter["quoted"] or parameter["single"] or parameter["bare"] or ""
        end = END.match(header, position)
        if end is None:
            raise ValueError("not a Link header")
        position = end.end()
        if found is None and "next" in (relations or "").lower().split():
            found = target[1] if target[1] is not None else target[2]
    return found
