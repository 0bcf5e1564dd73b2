"""The picture of a BGP network: routers, and sessions between them; iBGP and eBGP differ in dash, colour and word.

The colours are custom properties with a fallback: inside an `<img>` the fallbacks hold, on a white card; where the
browser takes the drawing into the page, the theme's own colours do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coursekit.views.bgp_layout import Box, layout
from coursekit.views.twin import DEPTHS, count, escape, picture

_BIG = 9  # routers up to which a box holds address and block too
_PAD = 10
_INK, _PAPER, _BAND, _QUIET, _LINE = (
    "var(--ck-fg,#1a1a1a)", "var(--ck-bg,#fff)", "var(--ck-band,#f4f4f4)", "var(--ck-quiet,#595959)",
    "var(--ck-quiet,#595959)",
)  # fmt: skip
_SHEET = (
    f".ck-topo text{{font:12px system-ui,sans-serif;fill:{_INK};text-anchor:middle}}"
    f".ck-topo .h{{font-weight:700;font-size:13px}}.ck-topo .q{{fill:{_QUIET};font-size:11.5px}}"
    f".ck-topo .b{{fill:{_BAND};stroke:{_LINE};stroke-width:1.25}}.ck-topo .r{{stroke-width:2.5}}"
    f".ck-topo .i,.ck-topo .e{{fill:none;stroke:var(--ck-d0,{DEPTHS[0]});stroke-width:2}}"
    f".ck-topo .e{{stroke:var(--ck-d1,{DEPTHS[1]});stroke-dasharray:7 4}}"
    f".ck-topo .k{{font-size:11px}}.ck-topo .u{{fill:{_PAPER}}}.ck-topo .l{{text-anchor:start;font-size:11.5px}}"
    f".ck-topo .x,.ck-topo .d{{font-weight:700;fill:var(--ck-bad,#a84300)}}.ck-topo .x{{display:none}}"
    f".ck-topo .off .x{{display:inline}}.ck-topo path.off{{stroke-dasharray:1 5;stroke:{_QUIET}}}"
    ".ck-topo .off .b{stroke-dasharray:3 3}.ck-topo .off .w{display:none}"
)  # fmt: skip


class Map:
    """The drawing of a BgpView's data, its size in pixels."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.routers, self.sessions = data["routers"], data["sessions"]
        self.terse = len(self.routers) > _BIG and any(router["asn"] > 65535 for router in self.routers)
        self.lines_of = {router["name"]: self._words(router) for router in self.routers}
        longest = max(_width(text) for lines in self.lines_of.values() for text in lines)
        tall = max(map(len, self.lines_of.values()))
        self.size = (max(58.0, longest + 16), 15.0 * tall + 11)
        self.layout = layout(self.routers, self.sessions, self.size)
        self.labels = self._labels()
        self.legend = self._legend()
        wide = max([self.layout.width] + [_width(text) * 1.02 + 44 for _, text in self.legend])
        self.width = round(wide) + 2 * _PAD
        self.left = _PAD + (wide - self.layout.width) / 2
        self.bottom = round(self.layout.height) + 2 * _PAD + 6
        self.height = self.bottom + 18 * len(self.legend) + 6

    def _words(self, router: Mapping[str, Any]) -> list[str]:
        """Return the lines in a router's box."""
        name = router["name"] if len(router["name"]) < 15 else router["name"][:13] + "…"
        lines = [name, f"AS {router['asn']}"]
        if self.terse:
            return lines[:1]
        if len(self.routers) <= _BIG:
            more = f" +{len(router['blocks']) - 1}" if len(router["blocks"]) > 1 else ""
            lines += [router["address"], f"{router['blocks'][0]}{more}" if router["blocks"] else ""]
            if router["clients"]:
                lines[3] = lines[3] or f"reflects for {router['clients']}"
        return [line for line in lines if line]

    def _labels(self) -> list[tuple[float, float, str]]:
        """Return a word on each line, all at the same share of their lines; none if some would not stand alone."""
        for share in (0.5, 0.6, 0.68, 0.76, 0.42, 0.35):
            placed: list[Box] = list(self.layout.boxes.values())
            found = []
            for session, line in zip(self.sessions, self.layout.lines, strict=True):
                x, y = line.at(share if self._busier(session) else 1 - share)
                box = Box(x, y, _width(session["kind"]) + 6, 15)
                if any(box.meets(other, 2) for other in placed) or any(
                        other.crosses(box) for other in self.layout.lines if other is not line):  # fmt: skip
                    break
                placed.append(box)
                found.append((x, y, session["kind"]))
            else:
                return found
        return []

    def _busier(self, session: Mapping[str, Any]) -> bool:
        """Whether the end where a line begins has more sessions than the other."""
        ends = [end for other in self.sessions for end in (other["a"], other["b"])]
        return ends.count(session["a"]) >= ends.count(session["b"])

    def _legend(self) -> list[tuple[str, str]]:
        """Return what the lines mean: the kind of line, and words."""
        rows = []
        for kind, name in (("iBGP", "i"), ("eBGP", "e")):
            mine = [session for session in self.sessions if session["kind"] == kind]
            if mine:
                clients = sum(1 for session in mine if session["client"])
                also = f", {clients} of them to clients of a reflector" if clients else ""
                rows.append((name, f"{kind}: {count(len(mine), 'session')}{also}"))
        if self.terse:
            rows.append(("", _cut("AS numbers: " + ", ".join(f"{r['name']} {r['asn']}" for r in self.routers), 90)))
        if self.data["lan"]:
            rows.append(("", f"All are on one LAN, {self.data['lan']}."))
        return rows

    def alt(self) -> str:
        """Return the picture in words."""
        who = ", ".join(f"{r['name']} (AS {r['asn']}{'' if r['up'] else ', down'})" for r in self.routers)
        lines = [f"{s['a']}–{s['b']} {s['kind']}{'' if s['up'] else ' down'}" for s in self.sessions[:40]]
        more = f" and {len(self.sessions) - 40} more" if len(self.sessions) > 40 else ""
        return f"Routers: {who}. Sessions: {', '.join(lines) or 'none'}{more}."

    def html(self) -> str:
        """Return the picture as an image."""
        return picture(self.svg(), self.alt(), self.width)

    def svg(self) -> str:
        """Return the picture; groups carry the place of their session (data-s) or router (data-r) in the data."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ck-topo" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}"><style>{_SHEET}</style>'
            f'<rect width="100%" height="100%" style="fill:{_PAPER}"/><g transform="translate({self.left:.0f} {_PAD})">'
        ]
        for place, (session, line) in enumerate(zip(self.sessions, self.layout.lines, strict=True)):
            kind = f"{session['kind'][0].lower()}{'' if session['up'] else ' off'}"
            parts.append(f'<path class="{kind}" data-s="{place}" d="{line.path()}"/>')
            if not session["up"] and not self.labels:
                x, y = line.at(0.5)
                parts.append(f'<text class="d" x="{x:.0f}" y="{y + 4:.0f}">✕</text>')
        for place, (x, y, word) in enumerate(self.labels):
            wide = _width(word) + 6
            name, text = ("k", word) if self.sessions[place]["up"] else ("k d", f"✕ {word}")
            parts.append(
                f'<rect class="u" x="{x - wide / 2:.0f}" y="{y - 8:.0f}" width="{wide:.0f}" height="15"/>'
                f'<text class="{name}" data-l="{place}" x="{x:.0f}" y="{y + 4:.0f}">{text}</text>'
            )
        parts.append('<g class="ck-way"></g>')
        parts += [self._box(place, router) for place, router in enumerate(self.routers)]
        parts.append("</g>")
        for row, (kind, text) in enumerate(self.legend):
            y = self.bottom + 18 * row + 4
            sample = f'<path class="{kind}" d="M{_PAD} {y}h30"/>' if kind else ""
            parts.append(f'{sample}<text class="l" x="{_PAD + (38 if kind else 0)}" y="{y + 4}">{escape(text)}</text>')
        return "".join(parts) + "</svg>"

    def _box(self, place: int, router: Mapping[str, Any]) -> str:
        box = self.layout.boxes[router["name"]]
        wide = " r" if router["clients"] or not router["blocks"] else ""
        lines = self.lines_of[router["name"]]
        top = box.y - 7.5 * (len(lines) - 1) + 4
        texts = "".join(
            f'<text class="{"h" if i == 0 else "q w" if i == 1 else "q"}" x="{box.x:.0f}" y="{top + 15 * i:.0f}">'
            f"{escape(text)}</text>" for i, text in enumerate(lines))  # fmt: skip
        down = f'<text class="x" x="{box.x:.0f}" y="{top + 15:.0f}">✕ down</text>'
        return (f'<g data-r="{place}"{_off(router)}><rect class="b{wide}" x="{box.x - box.width / 2:.0f}" '
                f'y="{box.y - box.height / 2:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="6"/>'
                f"{texts}{down}</g>")  # fmt: skip


def _off(thing: Mapping[str, Any]) -> str:
    return "" if thing["up"] else ' class="off"'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: text.rindex(",", 0, most) + 1] + " …"


def _width(text: str) -> float:
    """Return about how many pixels a text of 12 is wide."""
    return sum(3.6 if c in "il.,:;|!'ftj/ ()" else 10 if c in "mwMW" else 8 if c.isupper() else 6.9 for c in text)
