"""The two editions of the notebooks.

The repository's edition has all outputs, so that GitHub shows the course and nbval has something to compare. The
learner's edition is a copy in which cells tagged `answer` have no output yet. It lies in a folder of its own, because
JupyterLab rewrites a notebook that is merely opened, and a clone that was read would no longer be clean.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError, given
from coursekit.paths import notebooks_dir

ANSWER = "answer"  # the tag of a cell whose output answers what was just asked
FOLDER = "my-course"  # where the learner's copy goes unless another folder is named
RECORD = ".coursekit.json"  # in that folder: the digest of each notebook as it was written


class Action(Enum):
    """What `copy` did with one notebook."""

    CREATED = "created"
    UPDATED = "updated"  # a newer one replaced a copy that the learner had not changed
    CURRENT = "current"  # as the course has it
    CHANGED = "changed"  # by the learner, and left alone
    OUTDATED = "outdated"  # changed by the learner and left alone; the course has a newer one


@dataclass(frozen=True)
class Copied:
    """One notebook of the learner's folder, and what was done with it."""

    path: Path
    action: Action


def learners_edition(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook (nbformat 4 JSON) without the outputs of its `answer` cells."""
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and ANSWER in cell["metadata"].get("tags", []):
            cell = {**cell, "outputs": [], "execution_count": None}
        cells.append(cell)
    return {**notebook, "cells": cells}


def copy(folder: str | os.PathLike[str] = FOLDER) -> list[Copied]:
    """Bring the learner's edition of all notebooks into `folder`, in order; what the learner changed stays.

    Raises CourseError if the folder cannot be used.
    """
    target = _usable(folder)
    record = _record(target)
    done = []
    for source in _notebooks():
        text = _text(source)
        path, newest = target / source.name, _digest(text)
        action = _action(path, newest, record.get(source.name))
        if action in (Action.CREATED, Action.UPDATED):
            _write(path, text)
            record[source.name] = newest
        elif action is Action.CURRENT:
            record[source.name] = newest
        done.append(Copied(path, action))
    _write(target / RECORD, json.dumps(record, indent=1) + "\n")
    return done


def reset(number: str, folder: str | os.PathLike[str] | None = None) -> tuple[Path, Path | None]:
    """Restore one notebook, named by its number ("04") or file name; return it and where the old one was kept.

    Without `folder` it is the current one if it is a learner's copy, else `my-course` in it. Raises CourseError where
    there is no such notebook or no such folder.
    """
    target = _usable(folder if folder is not None else "." if Path(RECORD).exists() else FOLDER)
    source = _named(number)
    path, text = target / source.name, _text(source)
    old = _kept(path) if path.exists() and _digest(path.read_text(encoding="utf-8")) != _digest(text) else None
    if old is not None:
        _moved(path, old)
    _write(path, text)
    record = _record(target)
    record[source.name] = _digest(text)
    _write(target / RECORD, json.dumps(record, indent=1) + "\n")
    return path, old


def _action(path: Path, newest: str, written: str | None) -> Action:
    if not path.exists():
        return Action.CREATED
    present = _digest(path.read_text(encoding="utf-8", errors="replace"))
    if present == newest:
        return Action.CURRENT
    if present == written:
        return Action.UPDATED
    return Action.CHANGED if written == newest else Action.OUTDATED


def _notebooks() -> list[Path]:
    return sorted(notebooks_dir().glob("*.ipynb"))


def _named(number: str) -> Path:
    name = str(number).removesuffix(".ipynb")
    named = [path for path in _notebooks() if name in (path.stem, path.stem.split("-")[0])]
    if len(named) != 1:
        choice = ", ".join(path.stem.split("-")[0] for path in _notebooks())
        raise CourseError(f"There is no notebook {given(number)}; give its number: {choice}.")
    return named[0]


def _text(source: Path) -> str:
    notebook = json.loads(source.read_text(encoding="utf-8"))
    return json.dumps(learners_edition(notebook), indent=1, ensure_ascii=False) + "\n"


def _digest(text: str) -> str:
    """Return the SHA-256 of what a learner may change: cells and outputs, not the metadata that JupyterLab rewrites."""
    try:
        cells = json.loads(text)["cells"]
        kept = [(c["cell_type"], "".join(c["source"]), [_bare(o) for o in c.get("outputs", [])]) for c in cells]
        text = json.dumps(kept, sort_keys=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # a file that is no notebook: its text as it stands
    return sha256(text.encode()).hexdigest()


def _bare(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return an output with its strings joined and without what differs from run to run."""
    joined = {mime: "".join(part) if isinstance(part, list) else part for mime, part in output.get("data", {}).items()}
    text = output.get("text", "")
    return {"type": output["output_type"], "data": joined, "text": "".join(text)}


def _usable(folder: str | os.PathLike[str]) -> Path:
    target = Path(folder).expanduser()
    try:
        target.mkdir(parents=True, exist_ok=True)
        if target.resolve() == notebooks_dir().resolve():
            raise CourseError(
                f"{folder} holds the course's own notebooks; give another folder for your copy, such as {FOLDER}."
            )
    except (FileExistsError, NotADirectoryError):
        raise CourseError(f"{folder} is a file; give a folder for your copy, such as {FOLDER}.") from None
    except OSError as error:
        raise CourseError(f"{folder} cannot be made: {error.strerror}. Give a folder that you may write.") from None
    return target


def _record(folder: Path) -> dict[str, str]:
    """Return the digests of the notebooks as they were written; none if the record is missing or damaged."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in record.items()} if isinstance(record, dict) else {}


def _kept(path: Path) -> Path:
    """Return a free name beside a notebook: "04-vxlan-deep-dive.mine-2026-11-30.ipynb"."""
    stem = f"{path.stem}.mine-{date.today().isoformat()}"
    names = (path.with_name(f"{stem}{'' if n == 1 else f'-{n}'}.ipynb") for n in range(1, 1000))
    return next(name for name in names if not name.exists())


def _moved(path: Path, old: Path) -> None:
    try:
        path.rename(old)
    except OSError as error:
        raise CourseError(f"{path} cannot be kept as {old.name}: {error.strerror}. Nothing was changed.") from None


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a full disk or a kill leaves the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CourseError(f"{path} cannot be written: {error.strerror}. What was there is unchanged.") from None
