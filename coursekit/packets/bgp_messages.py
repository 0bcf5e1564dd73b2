"""BGP messages as they stand on the wire: header, OPEN with all its capabilities, NOTIFICATION, KEEPALIVE.

UPDATE is in bgp_update.py. A TCP segment may hold several messages, or a part of one; each is a layer of its own.
scapy's BGP layer is not used: it reads one capability per optional parameter, where BIRD and GoBGP pack them all
into one.
"""

from __future__ import annotations

from coursekit.packets.bgp_update import AFI, SAFI, update
from coursekit.packets.walk import Part, Stop, Table, Walk, flag, hexed, ipv4, meant, named, octet_text, words

MARKER = b"\xff" * 16
MESSAGES = {1: "OPEN", 2: "UPDATE", 3: "NOTIFICATION", 4: "KEEPALIVE", 5: "ROUTE-REFRESH"}
CAPABILITIES = {
    1: "multiprotocol", 2: "route refresh", 3: "outbound route filtering", 5: "extended next hop",
    6: "extended message", 7: "BGPsec", 8: "multiple labels", 9: "BGP role", 64: "graceful restart",
    65: "4-octet AS number", 67: "dynamic capability", 68: "multisession", 69: "ADD-PATH", 70: "enhanced route refresh",
    71: "long-lived graceful restart", 73: "FQDN", 75: "software version", 128: "route refresh (Cisco, old)",
}  # fmt: skip
_MEANINGS = {
    1: "Which kind of routes the speaker can exchange.",
    2: "The peer may ask for all routes again.",
    5: "IPv4 routes may have an IPv6 next hop.",
    6: "Messages may be longer than 4096 bytes.",
    64: "Routes shall be kept while the speaker restarts.",
    65: "The speaker's AS number, all 32 bits of it.",
    69: "Several paths per prefix may be sent, each with an identifier.",
    70: "Route refresh tells its beginning and end.",
    71: "Stale routes may be kept for long.",
    73: "The speaker's host name.",
}
ERRORS = {
    1: ("Message Header Error", "bgp.notify.minor_error",
        {1: "connection not synchronized", 2: "bad message length", 3: "bad message type"}),
    2: ("OPEN Message Error", "bgp.notify.minor_error_open",
        {1: "unsupported version", 2: "bad peer AS", 3: "bad BGP identifier", 4: "unsupported optional parameter",
         6: "unacceptable hold time", 7: "unsupported capability", 11: "role mismatch"}),
    3: ("UPDATE Message Error", "bgp.notify.minor_error_update",
        {1: "malformed attribute list", 2: "unrecognized well-known attribute", 3: "missing well-known attribute",
         4: "attribute flags error", 5: "attribute length error", 6: "invalid ORIGIN", 8: "invalid NEXT_HOP",
         9: "optional attribute error", 10: "invalid network field", 11: "malformed AS_PATH"}),
    4: ("Hold Timer Expired", "bgp.notify.minor_error_expired", {}),
    5: ("Finite State Machine Error", "bgp.notify.minor_error_state",
        {1: "unexpected message in OpenSent", 2: "in OpenConfirm", 3: "in Established"}),
    6: ("Cease", "bgp.notify.minor_error_cease",
        {1: "maximum number of prefixes reached", 2: "administrative shutdown", 3: "peer de-configured",
         4: "administrative reset", 5: "connection rejected", 6: "other configuration change",
         7: "connection collision resolution", 8: "out of resources", 9: "hard reset", 10: "BFD down"}),
}  # fmt: skip

HEADER = Table(
    "RFC 4271 §4.1",
    Part("bgp.marker", "Marker", 128, bytes.hex, "Sixteen bytes of ones: here a message starts.", octets=True),
    Part("bgp.length", "Length", 16, str, "Bytes of this message, this header of 19 included."),
    Part("bgp.type", "Type", 8, named(MESSAGES), "Which message this is."),
)
OPEN = Table(
    "RFC 4271 §4.2",
    Part("bgp.open.version", "Version", 8, str, "4, the only one in use."),
    Part("bgp.open.myas", "My Autonomous System", 16, str,
         lambda raw: "AS_TRANS: the real number needs 32 bits and stands in a capability." if raw == 23456
         else "The sender's AS number."),
    Part("bgp.open.holdtime", "Hold Time", 16, str,
         "Seconds without a message after which the session is dead; the smaller of the two proposals counts."),
    Part("bgp.open.identifier", "BGP Identifier", 32, ipv4, "The sender's router ID.", octets=True),
    Part("bgp.open.opt.len", "Optional Parameters Length", 8, str, "Bytes of parameters that follow."),
)  # fmt: skip
_GRACEFUL = Table(
    "RFC 4724 §3",
    Part("bgp.cap.gr.timers.restart_flag", "Restart State (R)", 1, flag,
         meant("The speaker has not just restarted.", "The speaker has just restarted.")),
    Part("bgp.cap.gr.timers.notification_flag", "Graceful Notification (N)", 1, flag,
         "Keep routes after a NOTIFICATION too.", source="RFC 8538 §2"),
    Part("bgp.cap.gr.timers.reserved", "Reserved", 2, str, "Always zero."),
    Part("bgp.cap.gr.timers.restart_time", "Restart Time", 12, str, "Seconds that the restart may take."),
)  # fmt: skip
_GRACEFUL_FAMILY = Table(
    "RFC 4724 §3",
    Part("bgp.cap.gr.afi", "AFI", 16, named(AFI), "Address family."),
    Part("bgp.cap.gr.safi", "SAFI", 8, named(SAFI), "Kind of routes."),
    Part("bgp.cap.gr.flag.pfs", "Forwarding State (F)", 1, flag, "Forwarding went on during the restart."),
    Part("bgp.cap.gr.flag.reserved", "Reserved", 7, hexed(2), "Always zero."),
)


def bgp(walk: Walk) -> str | None:
    """Read one BGP message; say so if it begins or goes on in another segment."""
    start = walk.position
    if walk.data[start : min(start + 16, walk.end)] != MARKER[: walk.left]:
        return _continuation(walk)
    layer = walk.begin("bgp", "BGP", "RFC 4271 §4")
    _, length, kind = walk.take(HEADER)
    name = MESSAGES.get(kind, f"message type {kind}")
    layer.name, layer.summary = f"BGP {name}", name
    if length < 19:
        raise Stop(f"The BGP header at byte {start} claims a message of {length} bytes, less than its own 19.")
    size = length - 19
    if size > walk.left:
        walk.sentences.append(f"The BGP {name} at byte {start} has {length} bytes, of which {walk.left + 19} are in "
                              f"this segment; it goes on in the next one{walk.whose}.")
        walk.partial, size = True, walk.left
    with walk.bound(size, f"BGP {name}"):
        if kind == 1:
            layer.summary += _open(walk)
        elif kind == 2:
            layer.summary += update(walk)
        elif kind == 3:
            layer.summary += _notification(walk)
        elif kind == 5 and size >= 4:
            walk.one("bgp.route_refresh.afi", "AFI", 2, named(AFI), "Address family to send again.", "RFC 2918 §3")
            walk.one("bgp.route_refresh.subtype", "Subtype", 1,
                     named({0: "request", 1: "beginning", 2: "end"}), "Request, or a mark around the answer.",
                     "RFC 7313 §3.2")
            walk.one("bgp.route_refresh.safi", "SAFI", 1, named(SAFI), "Kind of routes.", "RFC 2918 §3")
    return "bgp" if walk.left else None


def _continuation(walk: Walk) -> str | None:
    """Take bytes up to the next marker as the end of a message that began in an earlier segment."""
    found = walk.data.find(MARKER, walk.position, walk.end)
    outer, walk.end = walk.end, found if found > walk.position else walk.end
    walk.rest("BGP continuation", "Goes on with a message that began in an earlier segment.")
    walk.end = outer
    return "bgp" if walk.left else None


def _open(walk: Walk) -> str:
    """Read the body of an OPEN; return its summary."""
    _, number, hold, identifier, size = walk.take(OPEN)
    summary = f": AS {number}, router ID {ipv4(identifier)}, hold time {hold} s"
    extended = size == 255 and walk.data[walk.position : walk.position + 1] == b"\xff"
    if extended:
        walk.one("bgp.open.opt.extended", "Extended marker", 1, str, "255: a longer length follows.", "RFC 9072 §2")
        size = walk.one("bgp.open.opt.extended_len", "Extended Length", 2, str, "Bytes of parameters that follow.",
                        "RFC 9072 §2")
    names: list[str] = []
    with walk.bound(size, "list of optional parameters"):
        while walk.left:
            kind = walk.one("bgp.open.opt.param.type", "Parameter Type", 1, named({2: "capabilities"}),
                            "2: a list of capabilities.", "RFC 5492 §4")
            length = walk.one("bgp.open.opt.param.len", "Parameter Length", 2 if extended else 1, str,
                              "Bytes of this parameter.", "RFC 5492 §4")
            with walk.bound(length, "optional parameter"):
                while kind == 2 and walk.left:
                    names.append(_capability(walk))
    return summary + (f", capabilities {', '.join(names)}" if names else "")


def _capability(walk: Walk) -> str:
    """Read one capability; return its name."""
    kind = walk.one("bgp.cap.type", "Capability", 1, named(CAPABILITIES),
                    lambda raw: _MEANINGS.get(raw, "Something the speaker can do."), "RFC 5492 §4")
    size = walk.one("bgp.cap.length", "Capability Length", 1, str, "Bytes of its value.", "RFC 5492 §4")
    one = walk.one
    with walk.bound(size, "capability"):
        if kind == 1 and size == 4:
            one("bgp.cap.mp.afi", "AFI", 2, named(AFI), "Address family.", "RFC 4760 §8")
            one("bgp.cap.reserved", "Reserved", 1, octet_text, "Always zero.", "RFC 4760 §8", octets=True)
            one("bgp.cap.mp.safi", "SAFI", 1, named(SAFI), "Kind of routes.", "RFC 4760 §8")
        elif kind == 5 and size % 6 == 0:
            while walk.left:
                one("bgp.cap.enh.afi", "AFI", 2, named(AFI), "Address family of the routes.", "RFC 8950 §4")
                one("bgp.cap.enh.safi", "SAFI", 2, named(SAFI), "Kind of routes.", "RFC 8950 §4")
                one("bgp.cap.enh.nhafi", "Next hop AFI", 2, named(AFI), "Family of their next hops.", "RFC 8950 §4")
        elif kind == 64 and size % 4 == 2:
            walk.take(_GRACEFUL)
            while walk.left:
                walk.take(_GRACEFUL_FAMILY)
        elif kind == 65 and size == 4:
            one("bgp.cap.4as", "AS Number", 4, str, "The speaker's AS number.", "RFC 6793 §3")
        elif kind == 69 and size % 4 == 0:
            while walk.left:
                one("bgp.cap.ap.afi", "AFI", 2, named(AFI), "Address family.", "RFC 7911 §4")
                one("bgp.cap.ap.safi", "SAFI", 1, named(SAFI), "Kind of routes.", "RFC 7911 §4")
                one("bgp.cap.ap.sendreceive", "Send/Receive", 1, named({1: "receive", 2: "send", 3: "both"}),
                    "In which direction several paths may go.", "RFC 7911 §4")
        elif kind == 73 and size >= 2:
            for what, label in (("hostname", "Host name"), ("domain_name", "Domain name")):
                length = one(f"bgp.cap.orf.fqdn.{what}.len", f"{label} length", 1, str, "Bytes of the name.",
                             "draft-walton-bgp-hostname-capability")
                if length:
                    one(f"bgp.cap.orf.fqdn.{what}", label, length, words,
                        "Name of the speaker.", "draft-walton-bgp-hostname-capability", octets=True)
        elif size:
            one("bgp.cap.unknown", "Capability value", size, octet_text, "Not read further.", octets=True)
    return CAPABILITIES.get(kind, f"{kind}")


def _notification(walk: Walk) -> str:
    """Read the body of a NOTIFICATION; return its summary."""
    major = walk.one("bgp.notify.major_error", "Error Code", 1,
                     named({code: error[0] for code, error in ERRORS.items()}), "Why the session ends.",
                     "RFC 4271 §4.5")
    name, key, codes = ERRORS.get(major, (f"error {major}", "bgp.notify.minor_error_unknown", {}))
    minor = walk.one(key, "Error Subcode", 1, named(codes), "The case within the error.", "RFC 4271 §4.5")
    if walk.left:
        if (major, minor) in ((6, 2), (6, 4)) and walk.data[walk.position] == walk.left - 1:
            size = walk.one("bgp.notify.communication_length", "Shutdown Communication Length", 1, str,
                            "Bytes of the message to the other operator.", "RFC 9003 §2")
            if size:
                walk.one("bgp.notify.communication", "Shutdown Communication", size,
                         words, "A message to the other operator.",
                         "RFC 9003 §2", octets=True)
        else:
            walk.one("bgp.notify.minor_data", "Data", walk.left, octet_text, "What the error is about.",
                     "RFC 4271 §4.5", octets=True)
    return f": {name}" + (f", {codes[minor]}" if minor in codes else f", subcode {minor}" if minor else "")
