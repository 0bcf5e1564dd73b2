"""What `make course` starts: one line that says where to read, and an end by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websocket

ROOT = Path(__file__).resolve().parent.parent
START = "notebooks/00-start-here.ipynb"
COMMAND = [sys.executable, "-m", "coursekit.course_server", "--no-browser", "--allow-root", "--ServerApp.port=0",
           f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{START}"]  # fmt: skip


@contextmanager
def started(home: Path, stdin: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Yield the server in an empty home, and end it whatever happens."""
    settings = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*COMMAND, *options], cwd=home, env=settings, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as server:  # fmt: skip
        try:
            yield server
        finally:
            server.kill()


def answer(url: str, code: str) -> str:
    """Return what a new kernel of the server shows for a line of code."""
    base, token = url.split("/lab/tree/")[0], url.split("token=")[1]
    start = urllib.request.Request(f"{base}/api/kernels?token={token}", method="POST", data=b"{}")
    kernel = json.load(urllib.request.urlopen(start, timeout=60))["id"]
    channels = f"{base.replace('http', 'ws')}/api/kernels/{kernel}/channels?token={token}"
    about = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "1", "version": "5.3"}
    content = {"code": code, "silent": False}
    socket = websocket.create_connection(channels, timeout=60, suppress_origin=True)
    socket.send(json.dumps({"channel": "shell", "header": about, "parent_header": {}, "metadata": {},
                            "content": content}))  # fmt: skip
    while (message := json.loads(socket.recv()))["header"]["msg_type"] != "execute_result":
        pass
    socket.close()
    return str(message["content"]["data"]["text/plain"])


@pytest.mark.parametrize("terminal", [True, False])
def test_one_line_says_where_to_read(tmp_path: Path, terminal: bool) -> None:
    """The first line is an address that answers with JupyterLab; a kernel adds none; one Ctrl-C ends the server."""
    ours, theirs = pty.openpty()
    with started(tmp_path, theirs if terminal else subprocess.DEVNULL) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        assert re.fullmatch(rf"http://localhost:\d+/lab/tree/{START}\?token=[0-9a-f]+", url)
        assert b"jupyter-config-data" in urllib.request.urlopen(url, timeout=60).read()
        assert answer(url, "6 * 7") == "42"
        server.send_signal(signal.SIGINT)
        rest = server.stdout.read()
        assert server.wait(60) == 0
    os.close(ours)
    os.close(theirs)
    assert len(rest.splitlines()) <= 1  # that it stops
    assert "http" not in rest


def test_jupyters_messages_can_be_had(tmp_path: Path) -> None:
    """With --log-level=INFO what Jupyter does at its start stands above the address, which is still there once."""
    with started(tmp_path, subprocess.DEVNULL, "--log-level=INFO") as server:
        assert server.stdout
        lines = [server.stdout.readline()]
        while lines[-1] and not lines[-1].startswith("http"):
            lines.append(server.stdout.readline())
    assert "CourseServer]" in lines[0]
    assert f"/lab/tree/{START}?token=" in lines[-1]
