"""One gzip stream out of a head and a rest: whole for every reader, also for those that stop after a first member."""

import gzip
import zlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.gzip_stream import LEVEL, compress_head

PARTS = st.lists(st.binary(max_size=40) | st.sampled_from([b"konstantly_users 1.0\n" * 50, bytes(70_000)]), max_size=5)


@given(PARTS, st.binary(max_size=60))
def test_head_and_rest_are_one_stream_of_the_whole_text(parts: list[bytes], text: bytes) -> None:
    head = compress_head(parts)
    stream = head.data + head.rest(text)
    first_member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    assert first_member.decompress(stream) == b"".join(parts) + text
    assert first_member.eof
    assert first_member.unused_data == b""
    assert gzip.decompress(stream) == b"".join(parts) + text


@given(PARTS, st.binary(max_size=60), st.binary(max_size=60))
def test_a_head_takes_any_number_of_rests(parts: list[bytes], one: bytes, two: bytes) -> None:
    head = compress_head(parts)

    assert gzip.decompress(head.data + head.rest(one)).endswith(one)
    assert gzip.decompress(head.data + head.rest(two)).endswith(two)


def test_the_size_in_the_trailer_is_modulo_4_gib() -> None:
    """A page above 4 GiB is not made here; what the trailer says of one is computed from the head."""
    head = compress_head([b"x"])
    large = type(head)(head.data, head.crc, 2**32 + 5)

    assert large.rest(b"yz")[-4:] == (7).to_bytes(4, "little")


def test_the_stream_is_hardly_longer_than_if_it_were_compressed_in_one_go() -> None:
    lines = [f'konstantly_course_learners{{course="{number}"}} {number % 7}\n'.encode() for number in range(5000)]
    text = b"".join(lines)
    cuts = [*range(0, len(text), 2**14), len(text)]
    head = compress_head(text[start:end] for start, end in pairwise(cuts))

    assert len(head.data) < 1.01 * len(zlib.compress(text, LEVEL))
