"""What `make course` starts: JupyterLab, which says where to read in one line, and after that only what goes wrong.

`python -m coursekit.course_server` takes every option of `jupyter lab`; `--log-level=INFO` brings its messages back.
"""

from __future__ import annotations

import logging
import sys

from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp
from traitlets import default


class CourseServer(ServerApp):
    """A Jupyter server that prints the address of its start page instead of logging three, and ends at one Ctrl-C."""

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.ERROR

    @default("answer_yes")
    def _default_answer_yes(self) -> bool:
        return True

    def start_app(self) -> None:
        """Do what every Jupyter server does at its start; when requests are answered, print the address."""
        identity = self.identity_provider
        generated, identity.token_generated = identity.token_generated, False  # who set the token knows the address
        super().start_app()
        identity.token_generated = generated
        self.io_loop.add_callback(print, self.public_url, flush=True)


# A kernel of ipykernel 7 that does not encrypt warns of eavesdroppers each time a notebook is opened.
QUIET = ("--LabApp.log_level=ERROR", "--KernelManager.transport_encryption=auto")

if __name__ == "__main__":
    LabApp.serverapp_class = CourseServer
    LabApp.launch_instance([*QUIET, *sys.argv[1:]])
