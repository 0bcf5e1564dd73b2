"""What the verbs are given (ping, get, traceroute): the model and the lab refuse the same, with the same sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coursekit.errors import CourseError, given

_MOST_DATA = 65535 - 28  # bytes behind the headers of IP and ICMP
_MOST_ANSWER = 2**24 - 1
_A_DAY = 86400.0
_SETTING = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")  # no way out of /proc/sys/net


def within(value: Any, least: int, most: int) -> bool:
    """Whether `value` is a whole number from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def check_ping(size: Any, df: Any, ttl: Any, tos: Any = 0, count: Any = 1) -> None:
    """Refuse what no echo request can have."""
    if not within(size, 0, _MOST_DATA):
        raise CourseError(f"A ping carries 0 to {_MOST_DATA} bytes of data; {given(size)} was asked for.")
    if df is not None and not isinstance(df, bool):
        raise CourseError(f"df is True (ping -M do), False (-M dont) or None (ping's own); {given(df)} was given.")
    if not within(ttl, 1, 255):
        raise CourseError(f"A packet starts with a TTL of 1 to 255; {given(ttl)} was asked for.")
    if not within(tos, 0, 255):
        raise CourseError(f"The TOS is one byte, 0 to 255; {given(tos)} was given.")
    if not within(count, 1, 65535):
        raise CourseError(f"count is the number of echo requests, 1 to 65535; {given(count)} was given.")


def check_size(size: Any, least: int = 1) -> None:
    """Refuse an HTTP answer of a size that is none."""
    if not within(size, least, _MOST_ANSWER):
        raise CourseError(f"A GET can ask for {least} to {_MOST_ANSWER} bytes; {size!r} were asked for.")


def check_hops(max_hops: Any) -> None:
    """Refuse a number of hops that traceroute does not take."""
    if not within(max_hops, 1, 255):
        raise CourseError(f"A traceroute takes 1 to 255 hops; {max_hops!r} were asked for.")


def check_seconds(what: str, seconds: Any) -> None:
    """Refuse a time that is no number of seconds from 0 to a day."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= _A_DAY:
        raise CourseError(f"{what} is a number of seconds from 0 to {_A_DAY:.0f}; {given(seconds)} was given.")


def check_settings(settings: Any) -> None:
    """Refuse what names no file under /proc/sys/net, and values that are no text."""
    if not isinstance(settings, Mapping):
        raise CourseError(f"settings are names under /proc/sys/net with their values; {settings!r} was given.")
    for name, value in settings.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name) or not isinstance(value, str):
            raise CourseError(
                "settings are names under /proc/sys/net with their values, all in quotes, such as "
                f"'ipv4/ip_default_ttl': '32'; {name!r}: {value!r} was given."
            )
