"""A real JupyterLab on a loopback port and a real Chromium, for tests of what a learner sees."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, chromium

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Opening a second notebook in a running JupyterLab takes a tenth of the time of loading it anew.
OPEN_INSTEAD = """async (path) => {
    const {shell, commands, serviceManager} = window.jupyterapp;
    for (const widget of [...shell.widgets('main')]) widget.dispose();
    await serviceManager.sessions.shutdownAll();
    await commands.execute('docmanager:open', {path, factory: 'Notebook'});
}"""
SET_THEME = """async (dark) => {
    const theme = `JupyterLab ${dark ? 'Dark' : 'Light'}`;
    if (document.body.dataset.jpThemeName === theme) return;
    await window.jupyterapp.commands.execute('apputils:change-theme', {theme});
    while (document.body.dataset.jpThemeName !== theme) await new Promise(done => setTimeout(done, 50));
}"""
# Answers once the notebook's session has a kernel that answers: "Run All" before that silently does nothing.
KERNEL_READY = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready; await panel.context.sessionContext.ready;
    await panel.context.sessionContext.session.kernel.info;
}"""
# anywidget says so whenever a script takes more than 2 s to load, and then goes on; on a busy machine some do.
LATE = "[anywidget] Failed to initialize model."
ALL_RAN = """() => {
    if (document.querySelector('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]')) return true;
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    return prompts.length && prompts.every(p => /\\[\\d+\\]/.test(p.textContent));
}"""


@dataclass
class Lab:
    """A running JupyterLab: `root` is the folder it serves."""

    url: str
    root: Path
    environment: dict[str, str] = field(repr=False)

    def write(self, name: str, *cells: str | dict[str, Any]) -> str:
        """Store a notebook: a string is the source of a code cell, a mapping is a whole cell."""
        notebook = {
            "cells": [cell if isinstance(cell, dict) else code(cell) for cell in cells],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        for number, cell in enumerate(notebook["cells"]):
            cell["id"] = f"cell-{number}"
        (self.root / name).write_text(json.dumps(notebook), encoding="utf-8")
        return name

    def trust(self, name: str) -> None:
        """Sign a stored notebook, as `jupyter trust` does."""
        subprocess.run([sys.executable, "-m", "jupyter", "trust", self.root / name], env=self.environment, check=True,
                       capture_output=True)  # fmt: skip

    def open(self, page: Any, name: str, *, run: bool = True, dark: bool = False) -> None:
        """Open a notebook, in the running JupyterLab if the page has one, and run it all if asked."""
        if page.url.startswith(self.url):
            page.evaluate(OPEN_INSTEAD, name)
        else:
            page.goto(f"{self.url}/doc/tree/{name}?reset")
            page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady", timeout=60_000)
        page.evaluate(SET_THEME, dark)
        page.evaluate(KERNEL_READY)
        if run:
            page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
            page.wait_for_function(ALL_RAN, timeout=60_000)
            if failed := page.query_selector(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']"):
                pytest.fail(f"A cell of {name} failed: {failed.inner_text()}")

    def saved(self, page: Any, name: str) -> dict[str, Any]:
        """Save the open notebook and return what is then on disk."""
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return json.loads((self.root / name).read_text(encoding="utf-8"))


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    """Return a code cell; `outputs` are mime bundles that it shows already."""
    shown = [{"output_type": "display_data", "data": bundle, "metadata": {}} for bundle in outputs]
    return {
        "cell_type": "code", "source": source, "metadata": {}, "outputs": shown,
        "execution_count": 1 if shown else None,
    }  # fmt: skip


def watched(page: Any) -> Any:
    """Return a page whose `problems` are the errors in the browser's console; `late` counts scripts that were slow."""
    page.problems, page.late = [], 0

    def note(error: Exception) -> None:
        if str(error) == LATE:
            page.late += 1
        else:
            page.problems.append(str(error))

    page.on("pageerror", note)
    return page


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in a temporary folder."""
    if not chromium():
        pytest.skip("needs Chromium (Debian: apt install chromium)")
    with serving(tmp_path_factory.mktemp("lab")) as started:
        yield started


@contextmanager
def serving(base: Path) -> Iterator[Lab]:
    """Start JupyterLab in a folder, with the settings that the course ships; end it at the end."""
    root, config = base / "notebooks", base / "config"
    root.mkdir()
    (config / "labconfig").mkdir(parents=True)
    shutil.copy(ROOT / "coursekit/views/jupyterlab-settings.json", config / "labconfig/default_setting_overrides.json")
    environment = dict(
        os.environ, JUPYTER_CONFIG_DIR=str(config), JUPYTER_DATA_DIR=str(base / "data"), PYTHONPATH=str(ROOT),
        JUPYTER_RUNTIME_DIR=str(base / "run"), IPYTHONDIR=str(base / "ipython"), PYDEVD_DISABLE_FILE_VALIDATION="1",
    )  # fmt: skip
    port = free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=",
    ]  # fmt: skip
    log = (base / "lab.log").open("wb")
    server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/api", server, base / "lab.log")
        yield Lab(f"http://127.0.0.1:{port}", root, environment)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        log.close()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def _page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    yield watched(context.new_page())
    context.close()


@pytest.fixture
def page(_page: Any) -> Any:
    """The page of all tests; its `problems` are those of this one."""
    _page.problems, _page.late = [], 0
    return _page
