"""Fixes of paho's websockets, in two places: frames sent in part, and refused handshakes."""

from __future__ import annotations

import re
from typing import Any, Final

import paho.mqtt.client as paho

_Websocket: Any = paho._WebsocketWrapper  # noqa: SLF001 - what is mended here has no public name
_send_frame, _shake_hands = _Websocket.send, _Websocket._do_handshake  # noqa: SLF001 - as above

_MAX_STATUS_LINE: Final = 256
_STATUS_LINE: Final = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([ -~]*))?")
_SWITCHING_PROTOCOLS: Final = 101


def install() -> None:
    """Make paho write frames and shake hands this way, in the whole process."""
    _Websocket.send = send_whole_frame
    _Websocket._do_handshake = shake_hands  # noqa: SLF001 - as above


def send_whole_frame(socket: Any, data: bytes | bytearray) -> int:  # noqa: ANN401 - as above
    """Send *data* as a frame; while only a part of it was sent, say "try again" instead of "nothing sent".

    Told that nothing was sent, paho 2.2 forgets the packet, and takes the rest of its frame for the packet behind it.

    Raises:
        BlockingIOError: the rest follows when the same data are given again.
    """
    sent: int = _send_frame(socket, data)
    if data and not sent:
        raise BlockingIOError
    return sent


def shake_hands(websocket: Any, headers: Any) -> None:  # noqa: ANN401 - as above
    """Perform the websocket handshake; paho says that it failed, but not how the server answered.

    Raises:
        ConnectionError: the server refused, or is of another kind; says what it answered and what to look at.
    """
    connection = websocket._socket  # noqa: SLF001 - as above
    listener = websocket._socket = _Listener(connection)  # noqa: SLF001 - as above
    try:
        _shake_hands(websocket, headers)
    except (paho.WebsocketConnectionError, ValueError, LookupError) as error:  # the last: over unusual headers
        raise ConnectionError(_refusal(bytes(listener.heard), websocket._path)) from error  # noqa: SLF001 - as above
    finally:
        websocket._socket = connection  # noqa: SLF001 - as above


class _Listener:
    """A socket that remembers the beginning of what came in."""

    def __init__(self, socket: Any) -> None:  # noqa: ANN401 - plain or TLS
        self._socket = socket
        self.heard = bytearray()

    def recv(self, size: int) -> bytes:
        data: bytes = self._socket.recv(size)
        self.heard += data[: _MAX_STATUS_LINE - len(self.heard)]
        return data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a socket has
        return getattr(self._socket, name)


def _refusal(heard: bytes, path: str) -> str:
    status = _STATUS_LINE.match(heard)
    if status is None:
        return "no HTTP answer to the websocket handshake: is mqtt.port the one of the broker's websockets?"
    code, words = int(status[1]), (status[2] or b"").decode()
    if code == _SWITCHING_PROTOCOLS:
        return "the answer to the websocket handshake was not understood: is mqtt.port the one of the broker?"
    answer = f"{code} {words}".strip()
    return f"the websocket handshake was refused with HTTP status {answer}: is mqtt.websocket_path ({path}) right?"
