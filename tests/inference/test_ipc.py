"""The channel between worker and model process."""

from __future__ import annotations

import json
import socket
import struct
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.inference.ipc import Channel, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[Channel, Channel]
MAX_BLOB_BYTES = 10_000_000


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of one channel."""
    ends = tuple(Channel(end, max_blob_bytes=MAX_BLOB_BYTES) for end in socket.socketpair())
    yield ends[0], ends[1]
    for end in ends:
        end.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, Channel]]:
    """A socket, and the channel at its other end."""
    near, far = socket.socketpair()
    with near:
        channel = Channel(far, max_blob_bytes=MAX_BLOB_BYTES)
        yield near, channel
        channel.close()


def framed(header: bytes) -> bytes:
    return struct.pack("!I", len(header)) + header


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text().filter(lambda key: key != "blobs"), JSON, max_size=5), st.lists(st.binary(), max_size=4)
)
def test_what_is_sent_arrives(header: dict[str, object], blobs: list[bytes]) -> None:
    """Every header of JSON values and every list of blobs comes out as it went in."""
    near, far = (Channel(end, max_blob_bytes=MAX_BLOB_BYTES) for end in socket.socketpair())
    near.send(header, *blobs)
    assert far.receive(1) == (header, tuple(blobs))
    near.close()
    far.close()


def test_messages_keep_their_order_and_borders(pair: Pair) -> None:
    """Several messages in the socket at once are several messages."""
    near, far = pair
    for number in range(50):
        near.send({"n": number}, b"x" * number)
    assert [far.receive(1) for _ in range(50)] == [({"n": number}, (b"x" * number,)) for number in range(50)]


def test_more_than_the_socket_holds(pair: Pair) -> None:
    """A blob of megabytes arrives whole while the other end reads."""
    near, far = pair
    blob = bytes(range(256)) * 30_000
    sender = Thread(target=near.send, args=({"type": "frame"}, blob))
    sender.start()
    assert far.receive(10)[1] == (blob,)
    sender.join()


def test_a_reader_that_sleeps_is_a_timeout_and_nothing_is_lost(pair: Pair) -> None:
    """Post and flush stop at the timeout; the next flush goes on where it stopped, to the byte."""
    near, far = pair
    blob = bytes(range(256)) * 10_000
    near.post({"type": "frame"}, blob)
    with pytest.raises(TimeoutError):
        near.flush(0.05)
    sender = Thread(target=near.flush, args=(10,))
    sender.start()
    assert far.receive(10) == ({"type": "frame"}, (blob,))
    sender.join()


def test_a_writer_that_sleeps_is_a_timeout_and_nothing_is_lost(raw: tuple[socket.socket, Channel]) -> None:
    """Half a message is kept for the next call, wherever it was cut."""
    near, channel = raw
    message = framed(json.dumps({"a": 1, "blobs": [3, 0]}).encode()) + b"xyz"
    for byte in message[:-1]:
        near.sendall(bytes([byte]))
        with pytest.raises(TimeoutError):
            channel.receive(0.0005)
    near.sendall(message[-1:])
    assert channel.receive(1) == ({"a": 1}, (b"xyz", b""))


def test_the_timeout_is_of_the_whole_message(raw: tuple[socket.socket, Channel]) -> None:
    """A trickle of bytes does not prolong it."""
    near, channel = raw
    near.sendall(framed(json.dumps({"blobs": [1_000_000]}).encode()))
    done = Event()

    def trickle() -> None:
        for _ in range(40):
            near.sendall(b"x")
            done.wait(0.01)

    thread = Thread(target=trickle)
    thread.start()
    began = monotonic()
    with pytest.raises(TimeoutError):
        channel.receive(0.1)
    assert monotonic() - began < 0.3
    done.set()
    thread.join()


def test_the_end_of_the_other_side_is_noticed(pair: Pair) -> None:
    """Reading and writing raise EOFError, not an operating system's error."""
    near, far = pair
    far.close()
    with pytest.raises(EOFError):
        near.receive(1)
    with pytest.raises(EOFError):
        near.send({"type": "frame"}, b"x" * 1_000_000)


def test_an_end_within_a_message_is_an_end(raw: tuple[socket.socket, Channel]) -> None:
    """Half a message is none."""
    near, channel = raw
    near.sendall(framed(json.dumps({"blobs": [10]}).encode()) + b"x")
    near.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        channel.receive(1)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff\xff\xff\xff",
        framed(b"not JSON"),
        framed(b"[]"),
        framed(b"{}"),
        framed(b'{"blobs": [-1]}'),
        framed(b'{"blobs": [true]}'),
        framed(b'{"blobs": ["3"]}'),
        framed(b'{"blobs": {"a": 1}}'),
        framed(b'{"blobs": [], "score": NaN}'),
        framed(b"\xff\xfe"),
        framed(b'{"blobs": [10000000, 1]}'),
        framed(b"[" * 100_000),
        framed(b'{"blobs": [], "a": [' + b"{}," * 300_000 + b"{}]}"),
        framed(b'{"blobs": [], "a": [' + (b"[" * 900 + b"]" * 900 + b",") * 1000 + b"0]}"),
        framed(b'{"blobs": [], "a": [' + (b"[ " * 900 + b"]" * 900 + b",") * 1000 + b"0]}"),
        framed('{"blobs": [], "a": "☃"}'.encode()),
    ],
)
def test_nonsense_is_refused_before_memory_is_taken(raw: tuple[socket.socket, Channel], nonsense: bytes) -> None:
    """A header that is too long, is not a JSON object, or announces more than allowed is refused at once."""
    near, channel = raw
    sender = Thread(target=near.sendall, args=(nonsense,))
    sender.start()
    with pytest.raises(ProtocolError):
        channel.receive(10)
    sender.join()


def test_run_lengths_are_no_values(pair: Pair) -> None:
    """All signs that run lengths are written with, brackets among them, may come in any number."""
    near, far = pair
    header = {"rle": "".join(map(chr, range(48, 112))) * 20_000}
    sender = Thread(target=near.send, args=(header,))
    sender.start()
    assert far.receive(10) == (header, ())
    sender.join()


def test_what_is_not_json_is_not_sent(pair: Pair) -> None:
    """NaN is refused where it arises."""
    with pytest.raises(ValueError, match="JSON"):
        pair[0].send({"score": float("nan")})
