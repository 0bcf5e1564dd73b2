"""Reading `ip link` and `ip addr`, with or without -d: a device is a few lines that belong together."""

from __future__ import annotations

import re
from typing import Any

from coursekit.cluster.iproute2.addresses import parse_address, with_lifetime
from coursekit.cluster.iproute2.drivers import parse_info
from coursekit.cluster.iproute2.links import HEAD, MIDDLE, TAIL_WORDS, WHAT
from coursekit.cluster.iproute2.words import Words, is_mac, lines_of
from coursekit.cluster.tables import HostAddress, Link

_FIRST = re.compile(r"(\d+): ([^:@\s]+)(?:@([^:\s]+))?: <([^>]*)>")


class _Device:
    """One device while its lines are read."""

    def __init__(self, words: Words) -> None:
        match = _FIRST.match(words.line)
        if match is None:
            raise words.error("is not the first line of a device")
        index, self.name, at, flags = match.groups()
        self.fields: dict[str, Any] = {"ifindex": int(index), "flags": tuple(filter(None, flags.split(",")))}
        self.extra: dict[str, Any] = {}
        if at is not None:
            self._peer(at)
        self._head(words)
        self.lines: list[str] = []
        self.addresses: list[HostAddress] = []
        self.section = ""  # the kind whose words are being read

    def _peer(self, at: str) -> None:
        if at == "NONE":
            self.extra["link"] = None
        elif re.fullmatch(r"if\d+", at):
            self.extra["link_index"] = int(at[2:])
        else:
            self.extra["link"] = at

    def _head(self, words: Words) -> None:
        stream = iter(words)
        by_word = {word: key for key, word in HEAD.items()}
        for word in stream:
            if word.startswith("<"):
                break
        for word in stream:
            if word == "mtu":
                self.fields["mtu"] = words.value(int)
            elif word == "master":
                self.fields["master"] = words.value()
            elif word in by_word:
                self.extra[by_word[word]] = words.value(int if word == "qlen" else str)
            else:
                words.keep()
        if "mtu" not in self.fields:
            raise words.error("has no mtu")
        if words.kept():
            self.extra["head_words"] = words.kept()["words"]

    def layer(self, words: Words) -> None:
        """Read the second line: link/ether, addresses, and with -d what follows."""
        stream = iter(words)
        self.extra["link_type"] = next(stream).removeprefix("link/")
        words.flag()
        if is_mac(words.peek()) or re.fullmatch(r"[0-9.]+|[0-9a-f:]{2,}", words.peek()):
            self.fields["mac"] = next(stream)
            words.flag()
        for word in stream:
            if word in ("brd", "peer") and "broadcast" not in self.extra:
                self.extra["broadcast"] = words.value()
            elif word == "permaddr":
                self.extra[word] = words.value()
            elif word == "link-netns":
                self.extra["link_netns"] = words.value()
            elif word == "link-netnsid":
                self.extra["link_netnsid"] = words.value(lambda v: int(v) if v.lstrip("-").isdecimal() else v)
            elif word in MIDDLE.values() and "promiscuity" in (word, *self.extra):
                self.extra[next(k for k, w in MIDDLE.items() if w == word)] = words.value(int)
            elif word in TAIL_WORDS:
                self._tail(words, word)
            else:
                words.keep()
        if words.kept():
            self.extra["layer_words"] = words.kept()["words"]

    def driver(self, words: Words) -> None:
        """Read the line of the driver (vxlan …) or of the port (bridge_slave …), and what follows it on that line."""
        stream = iter(words)
        kind = next(stream)
        info, stopped = parse_info(kind, words, stream, TAIL_WORDS.__contains__)
        if kind.endswith("_slave"):
            self.extra["info_slave_kind"] = kind.removesuffix("_slave")
            self.extra["info_slave_data"] = info
        else:
            self.fields["kind"], self.fields["info"] = kind, info
        if stopped:
            self._tail(words, stopped)
            rest: list[str] = []
            for word in stream:
                if word in TAIL_WORDS:
                    self._tail(words, word)
                else:
                    rest.append(word)
            if rest:
                self.extra["tail_words"] = " ".join(rest)

    def _tail(self, words: Words, word: str) -> None:
        self.extra[TAIL_WORDS[word]] = words.value(lambda v: int(v) if v.isdecimal() else v)

    def link(self) -> Link:
        """Return the row."""
        extra = {**self.extra, **({"lines": tuple(self.lines)} if self.lines else {})}
        return Link(self.name, kind=self.fields.pop("kind", ""), **self.fields, extra=extra)


def parse_addresses(text: str) -> tuple[tuple[Link, ...], tuple[HostAddress, ...]]:
    """Return the devices and their addresses from `ip addr` (or -d). CourseError names a line that fits nowhere."""
    devices: list[_Device] = []
    for number, line in lines_of(text):
        words = Words(line, number, WHAT)
        first = words.peek()
        if not first:
            continue
        if not line[0].isspace():
            devices.append(_Device(words))
            continue
        if not devices:
            raise words.error("comes before any device")
        device = devices[-1]
        if first.startswith("link/"):
            device.layer(words)
        elif first in ("inet", "inet6"):
            device.addresses.append(parse_address(words, device.name))
        elif first == "valid_lft" and device.addresses:
            device.addresses[-1] = with_lifetime(device.addresses[-1], words)
        elif first == "altname":
            device.extra.setdefault("altnames", []).append(line.strip().removeprefix("altname "))
        elif first == "alias":
            device.extra["ifalias"] = line.strip().removeprefix("alias ")
        elif device.lines or first.endswith(":") or "link_type" not in device.extra:
            device.lines.append(line)  # statistics, virtual functions: kept as they are
        else:
            device.driver(words)
    return tuple(d.link() for d in devices), tuple(a for d in devices for a in d.addresses)


def parse_links(text: str) -> tuple[Link, ...]:
    """Return the devices of `ip link` or `ip -d link`. CourseError names a line that fits nowhere."""
    return parse_addresses(text)[0]
