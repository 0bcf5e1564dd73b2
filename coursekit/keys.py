"""Reading the course's own JSON and TOML: no key may stand there twice, and none that nobody reads."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from coursekit.errors import CourseError, few, given, suggestion

FREE = ("notes", "note", "comment", "title", "refs", "tags")  # allowed beside the keys of any format; nobody reads them


def unknown(mapping: Mapping[Any, Any], allowed: Collection[str]) -> list[Any]:
    """Return the keys that are neither allowed nor free, in their order."""
    return [key for key in mapping if key not in allowed and key not in FREE]


def check_keys(mapping: Mapping[Any, Any], allowed: Collection[str], where: str,
               missing: Mapping[str, str] | None = None) -> None:  # fmt: skip
    """Raise CourseError for a key that is neither allowed nor free, with the nearest one that is.

    `where` begins the sentence. `missing` names what the program cannot do, by the keys that would ask for it.
    """
    for key in unknown(mapping, allowed):
        lacks = (missing or {}).get(str(key).lower().replace("-", "_"))
        if lacks:
            raise CourseError(f"{where} has the key {given(key)}, but {lacks}. Remove the key.")
        near = suggestion(str(key), [*allowed, *FREE])
        raise CourseError(f"{where} has the key {given(key)}, which is not known here{near}. Known are "
                          f"{few(allowed, 20)}; remarks go under {FREE[0]}.")  # fmt: skip


def load_json(text: str | bytes, where: str, depth: int | None = None) -> Any:
    """Return what a JSON text holds; CourseError if it is no JSON, or an object in it has one key twice.

    `where` begins the sentence. With `depth` only so many levels of objects are ours: further down the first of equal
    keys wins, for `ip -j` gives the `dst` of an `encap ip` the key of the route's own.
    """
    repeated: dict[int, tuple[dict[str, Any], str]] = {}  # by id, each object with a key that it has twice

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            found = dict(reversed(pairs))
            repeated[id(found)] = found, next(key for key in keys if keys.count(key) > 1)
        return found

    try:
        found = json.loads(text, object_pairs_hook=collect)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CourseError(f"{where} is no JSON: {error}. Mend it there.") from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise CourseError(f"{where} holds a number of thousands of digits; no number here has more than 20.") from None
    except RecursionError:
        raise CourseError(f"{where} is nested too deeply; this is none of the course's files.") from None
    for place, value in _objects(found, "", depth) if repeated else ():
        if id(value) in repeated:
            raise CourseError(f"{where} has the key {given(repeated[id(value)][1])} twice"
                              f"{f' in {place}' if place else ''}. Keep one of them.")  # fmt: skip
    return found


def _objects(value: Any, place: str, depth: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object within a value, with its place as in `cases[0].steps[1]`, down to so many levels."""
    if depth == 0:
        return
    if isinstance(value, dict):
        yield place, value
        for key, inner in value.items():
            yield from _objects(inner, f"{place}.{key}" if place else key, depth and depth - 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _objects(inner, f"{place}[{number}]", depth)


def load_toml(text: str, where: str) -> dict[str, Any]:
    """Return what a TOML text holds; CourseError, which `where` begins, if it is no TOML or has a key twice."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        end = f"line {len(text.splitlines())}, end of document"
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        reason = reason.replace("at end of document", f"at {end}")
        reason = reason.replace("Cannot overwrite a value", "a key stands there twice")
        raise CourseError(f"{where} is not valid TOML: {reason}. Mend that line.") from None
