"""BIRDs of a scenario, with the configurations of its recording: started while captures run, asked, and stopped.

The lab's own BIRDs are left out: what was recorded is what these texts do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from coursekit.bgp import birdc
from coursekit.errors import CourseError
from coursekit.lab.live import Lab
from coursekit.lab.recorder import masks
from coursekit.lab.recording import recording

_SHOWN = ("show protocols", "show route", "show route all")
_OVER = ("Received: Administrative shutdown", "Socket: Connection refused", "Idle")
_REST, _PATIENCE = 2.5, 30.0  # seconds: more than a scan of the kernel's tables; and for sessions to come up


class Daemons:
    """One BIRD on every host that a recording has a configuration of."""

    def __init__(self, net: Lab, name: str) -> None:
        kept = recording(name)
        self._net = net
        self.texts = {out.removesuffix(".conf"): kept.output(out) for out in kept.outputs() if out.endswith(".conf")}
        for host, text in self.texts.items():
            net.exec(host, f"cat > /run/{host}.conf <<'END'\n{text}\nEND")
        for host in self.texts:
            said = net.exec(host, f"bird -c /run/{host}.conf -s /run/{host}.ctl -P /run/{host}.pid")
            if said.status:
                raise CourseError(f"BIRD of {host} did not start: {said.text.strip()}.")
        self.rest()

    def rest(self) -> None:
        """Wait until every session is up or waits in vain, and tables have stayed the same for a while."""
        before: object = None
        since = until = time.monotonic()
        until += _PATIENCE
        while time.monotonic() < until:
            sessions = {host: birdc.protocols(self.ask(host, "show protocols")) for host in self.texts}
            now = {host: masks.text(self.ask(host, "show route primary")) for host in self.texts}
            if now != before:
                before, since = now, time.monotonic()
            ends = [row for rows in sessions.values() for row in rows if row.kind == "BGP"]
            # one that was shut down by its neighbour stays Passive, or tries again in vain
            busy = any(not row.established and not any(word in row.info for word in _OVER) for row in ends)
            if not busy and time.monotonic() > since + _REST:
                return
            time.sleep(0.2)
        raise CourseError(f"BGP has not come to rest after {_PATIENCE:.0f} s.")

    def ask(self, host: str, command: str) -> str:
        """Return what `birdc` prints on a host, "" where its BIRD has stopped."""
        said = self._net.exec(host, ["birdc", "-s", f"/run/{host}.ctl", *command.split()])
        return "" if said.status else said.text.partition("\n")[2]

    def shown(self, host: str) -> str:
        """Return what recordings keep of a BIRD, as a transcript."""
        return "\n".join(f"bird> {command}\n{self.ask(host, command)}" for command in _SHOWN)

    def outputs(self) -> Mapping[str, str]:
        """Return the transcripts of all, by output name."""
        return {f"birdc-{host}": self.shown(host) for host in self.texts}

    def configurations(self) -> Mapping[str, str]:
        """Return the configurations by output name."""
        return {f"{host}.conf": text for host, text in self.texts.items()}
