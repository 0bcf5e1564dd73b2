"""HTTP between pods: a small server on port 80 of a pod, and one GET, on sockets that were made in the pods."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from typing import Any

_ASKED = re.compile(rb"GET (\S+) HTTP/1\.[01]\r\n")
_SIZE = re.compile(r"[?&]bytes=(\d{1,8})\b")


def listen(name: str, family: int) -> socket.socket:
    """Serve on port 80 of the current namespace, until the socket is closed."""
    server = socket.create_server(("", 80), family=family, backlog=32)
    threading.Thread(target=_serve, args=(server, name), daemon=True).start()
    return server


def _serve(server: socket.socket, name: str) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, name), daemon=True).start()


def _answer(connection: socket.socket, name: str) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(30)
        request = b""
        while b"\r\n\r\n" not in request and len(request) < 65536:
            piece = connection.recv(65536)
            if not piece:
                return
            request += piece
        asked = _ASKED.match(request)
        path = asked.group(1).decode(errors="replace") if asked else "/"
        size = _SIZE.search(path)
        body = b"x" * int(size.group(1)) if size else json.dumps({"pod": name, "path": path}).encode()
        head = (
            f"HTTP/1.1 {'200 OK' if asked else '400 Bad Request'}\r\nServer: {name}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body)


class Get(threading.Thread):
    """One GET in a thread of its own; `done` is set at the end, `answer` then says what came of it."""

    def __init__(self, client: socket.socket, address: str, path: str, name: str, seconds: float) -> None:
        super().__init__(daemon=True)
        host = f"[{address}]" if ":" in address else address
        self._client, self._address = client, address
        self._until = time.monotonic() + seconds
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {name}\r\nConnection: close\r\n\r\n"
        self.answer: dict[str, Any] = {"error": "", "got": ""}

    def run(self) -> None:
        """Ask, and read to the end."""
        got = b""
        try:
            with self._client:
                self._patience()
                self._client.connect((self._address, 80))
                self._client.sendall(self._request.encode())
                while True:
                    self._patience()
                    piece = self._client.recv(65536)
                    if not piece:
                        break
                    got += piece
        except TimeoutError:
            self.answer["error"] = "timed out"
        except OSError as error:
            self.answer["error"] = error.strerror or str(error)
        self.answer["got"] = got.decode("latin-1")

    def _patience(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._client.settimeout(left)

    def give_up(self) -> None:
        """Let the thread end now."""
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)
