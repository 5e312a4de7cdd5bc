"""Identifiers in the form of MongoDB's ObjectIds, which 360Learning uses for everything it stores."""

from datetime import datetime
from zlib import crc32


def object_id(created_at: datetime, kind: str, number: int) -> str:
    """24 hexadecimal digits that grow with `created_at` and, within one second and kind, with `number`."""
    return f"{int(created_at.timestamp()):08x}{crc32(kind.encode()) & 0xFFFFFF:06x}{number:010x}"
