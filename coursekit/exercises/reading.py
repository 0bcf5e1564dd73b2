"""What learners type, read kindly: numbers as text or in hex, several values in any form, letters for words.

What cannot be read raises Unreadable with a sentence on how to write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from coursekit.errors import given
from coursekit.exercises.status import Missing, Unreadable

_NUMBER = re.compile(r"[+-]?\d+|0[xX][0-9a-fA-F]+|\d{1,3}(?:[ _]\d{3})+")
_MAC = re.compile(r"(?:[0-9a-f]{1,2}[:-]){5}[0-9a-f]{1,2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}|[0-9a-f]{12}")


def is_starter(value: object) -> bool:
    """Whether a value is what the cell holds before anybody has answered."""
    return value is ... or value is None or (isinstance(value, str) and value.strip() in ("", "...", "…"))


def number(value: Any, example: int = 1400) -> int:
    """Return a whole number from a number or text, also in hex."""
    if isinstance(value, bool):
        raise Unreadable(f"{value} is no number. Write the number alone, such as {example}.")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = value.strip() if isinstance(value, str) else ""
    if _NUMBER.fullmatch(text):
        digits = re.sub(r"[ _]", "", text)
        return int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
    if isinstance(value, list | tuple | set) and len(value) == 1:
        return number(next(iter(value)), example)
    raise Unreadable(f"{given(value)} cannot be read as a number. Write the number alone, such as {example} or "
                     f"{example:#x}.")  # fmt: skip


def text(value: Any, example: str) -> str:
    """Return text that is not empty, without blanks around it; lines of a list are joined."""
    if isinstance(value, list | tuple) and value and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        raise Unreadable(f"{given(value)} was given. Write text in quotation marks, such as {example!r}.")
    return value.strip()


def address(value: Any) -> IPv4Address:
    """Return an IPv4 address; a prefix length or port after it does not disturb."""
    if isinstance(value, IPv4Address):
        return value
    try:
        return IPv4Interface(str(value).strip().strip("\"'")).ip
    except ValueError:
        how = 'Write it in quotation marks, as in "192.0.2.1".'
        raise Unreadable(f"{given(value)} is no IPv4 address. {how}") from None


def mac(value: Any) -> str:
    """Return a MAC in lower case with colons, from any of the usual notations."""
    found = str(value).strip().strip("\"'").lower() if isinstance(value, str) else ""
    if not _MAC.fullmatch(found):
        raise Unreadable(f"{given(value)} is no MAC address. Write six bytes in hex, as in \"02:00:5e:00:53:01\".")
    if re.search(r"[:-]", found):
        return ":".join(byte.zfill(2) for byte in re.split(r"[:-]", found))
    digits = found.replace(".", "")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def parts(names: Sequence[str], answer: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return one value for each name, from keywords, a mapping, a sequence, or text with commas.

    Missing, if one is still the starter; Unreadable, if their number or names do not fit.
    """
    how = ", ".join(f"{name}=…" for name in names)
    if named:
        listed: dict[str, Any] = {_name(key, names, how): value for key, value in named.items()}
    elif isinstance(answer, Mapping):
        listed = {_name(key, names, how): value for key, value in answer.items()}
    elif is_starter(answer):
        listed = {}
    else:
        if isinstance(answer, str):
            pieces, blank = [word for word in re.split(r"[,;\n]+", answer) if word.strip()], answer.split()
            answer = blank if len(pieces) == 1 and len(blank) == len(names) else pieces
            if all(re.match(r"\s*\w+\s*[=:]\s*[^:]", word) and "=" in word for word in answer):
                pairs = (word.split("=", 1) for word in answer)
                return parts(names, None, {key.strip(): value.strip() for key, value in pairs})
        if not isinstance(answer, Sequence) or len(answer) != len(names):
            raise Unreadable(f"{len(names)} values are asked for. Write them as {how}.")
        listed = dict(zip(names, answer, strict=True))
    missing = [name for name in names if is_starter(listed.get(name, ...))]
    if missing:
        raise Missing(", ".join(missing))
    return {name: listed[name] for name in names}


def _name(key: Any, names: Sequence[str], how: str) -> str:
    wanted = str(key).lower()
    if wanted in names:
        return wanted
    near = get_close_matches(wanted, names, n=1, cutoff=0.6)
    if not near:
        raise Unreadable(f"{given(key)} is none of the values asked for. Write {how}.")
    return near[0]


def word(value: Any, known: Mapping[str, Iterable[str]]) -> str:
    """Return the key of `known` that a word means: itself, one of its other names, or a slip of the pen."""
    raw = text(value, next(iter(known))).lower()
    plain = re.sub(r"[\s_-]+", " ", raw).strip(" .")
    names = {re.sub(r"[\s_-]+", " ", name.lower()): key for key, more in known.items() for name in (key, *more)}
    if plain in names:
        return names[plain]
    near = get_close_matches(plain, names, n=1, cutoff=0.8)
    if near:
        return names[near[0]]
    raise Unreadable(f"{given(value)} is none of the words asked for. Write one of: {', '.join(known)}.")
