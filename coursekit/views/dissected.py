"""From whatever holds a frame to its dissection."""

from __future__ import annotations

from typing import Any

from coursekit.errors import octets
from coursekit.packets.capture import Frame
from coursekit.packets.fields import Dissection
from coursekit.packets.layout import dissect

_EXPECTED = "A frame is bytes, a captured frame, a packet or a dissection"
_ETHERNET, _RAW = 1, 101  # LINKTYPE_ numbers


def dissected(frame: Any, linktype: str | int | None = None) -> Dissection:
    """Return the dissection of bytes, of a captured frame or of a scapy packet; a dissection is returned as it is.

    `linktype` is what the bytes begin with; without it a captured frame knows (`.dlt`), and others are looked at.
    """
    if isinstance(frame, Dissection):
        return frame
    data = octets(frame.data if isinstance(frame, Frame) else frame, _EXPECTED)
    begins = getattr(frame, "dlt", None) if linktype is None else linktype
    return dissect(data, _dlt(data) if begins is None else begins)


def numbered(frame: Any, number: int) -> Frame:
    """Return bytes, a frame of a lab, a packet or a dissection as a captured frame; a captured frame as it is."""
    if isinstance(frame, Frame):
        return frame
    data = octets(getattr(frame, "data", frame), _EXPECTED)
    return Frame(data, number, getattr(frame, "time_ns", 0), getattr(frame, "dlt", _dlt(data)), len(data))


def _dlt(frame: bytes) -> int:
    """Return LINKTYPE_RAW for a bare IP packet, as a tunnel device such as tunl0 shows it, else Ethernet's."""
    size = len(frame)
    if size >= 20 and frame[0] >> 4 == 4 and frame[0] & 15 >= 5 and int.from_bytes(frame[2:4], "big") == size:
        return _RAW
    if size >= 40 and frame[0] >> 4 == 6 and int.from_bytes(frame[4:6], "big") + 40 == size:
        return _RAW
    return _ETHERNET
