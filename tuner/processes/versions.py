"""What a process would run of a study: the versions of its libraries, and the user's own code.

Two that differ in one of these may give one trial two results, so each study records what it was launched with.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from tuner.errors import VersionDrift
from tuner.processes.shipped_code import on_this_machine

if TYPE_CHECKING:
    from tuner.spec.search_spec import SearchSpec

PACKAGES = ("keras-champion", "keras", "keras-tuner", "tensorflow", "optuna", "numpy")
PYTHON, SPACE, SOURCE, CALLBACKS, DATA = "python", "space", "data_source", "callbacks", "data"
_SHOWN = 12
_MISSING = "missing"
_SAID = {
    SPACE: "the search space's code",
    SOURCE: "the data source's code",
    CALLBACKS: "the callbacks' code",
    DATA: "the data",
}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the study has it: a package, ``python``, the user's code or the data."""

    name: str
    here: str
    study: str

    def __str__(self) -> str:
        return f"{_SAID.get(self.name, self.name)} is {self.here[:_SHOWN]}, the study's {self.study[:_SHOWN]}"


def own_version() -> str:
    """Of this software."""
    return _version("keras-champion")


def versions_here(spec: SearchSpec) -> dict[str, str]:
    """The versions of this process's libraries, and the hashes of the user's code that a spec names.

    A space that comes with this software has its version, and no hash.
    """
    named = {
        SPACE: [spec.space.name] if ":" in spec.space.name else [],
        SOURCE: [spec.data.source] if spec.data.kind == "python" else [],
        CALLBACKS: spec.training.callbacks,
    }
    code = {what: code_hash(*places) for what, places in named.items() if places}
    return {package: _version(package) for package in PACKAGES} | {PYTHON: python_version()} | code


def differences(study: Mapping[str, str], here: Mapping[str, str]) -> list[Difference]:
    """What differs of that which the study recorded; a study of an older version recorded less."""
    return [
        Difference(name, here.get(name, _MISSING), recorded)
        for name, recorded in study.items()
        if here.get(name, _MISSING) != recorded
    ]


def refuse_drift(study: str, differing: list[Difference]) -> None:
    """Raises VersionDrift if anything differs."""
    if differing:
        raise VersionDrift(study, [each.name for each in differing], "; ".join(map(str, differing)))


def code_hash(*places: str) -> str:
    """A hash of the source of ``package.module:Name`` or ``path/to/file.py:Name``, ``missing`` if one is not here.

    It covers the file, and every file or package of the same folder that it imports, directly or through another one
    of them. Nothing is imported to find out.
    """
    digest = hashlib.sha256()
    for name in places:
        file = code_file(name)
        if file is None:
            return _MISSING
        for path in sorted(_with_neighbours(file)):
            digest.update(f"{path.relative_to(file.parent)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def code_file(name: str) -> Path | None:
    """The file of ``package.module:Name`` or ``path/to/file.py:Name``, None if it is not here. Nothing is imported."""
    place = name.rpartition(":")[0]
    file = on_this_machine(Path(place)) if place.endswith(".py") else _module_file(place)
    return file if file is not None and file.is_file() else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _MISSING


def _module_file(name: str) -> Path | None:
    """The file of a module, found without running its packages' code."""
    where, found = None, None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:depth]), where)
        if found is None:
            return None
        where = found.submodule_search_locations
    return Path(found.origin) if found is not None and found.origin else None


def _with_neighbours(file: Path) -> set[Path]:
    known, waiting = {file}, [file]
    while waiting:
        for neighbour in _neighbours(waiting.pop(), file.parent):
            if neighbour not in known:
                known.add(neighbour)
                waiting.append(neighbour)
    return known


def _neighbours(file: Path, folder: Path) -> Iterator[Path]:
    """What a file imports of a folder. Every part of an imported name counts: it may be below a package's name."""
    for name in _imported(file):
        if (folder / f"{name}.py").is_file():
            yield folder / f"{name}.py"
        elif (folder / name / "__init__.py").is_file():
            yield from (folder / name).rglob("*.py")


def _imported(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(*(alias.name.split(".") for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            names.update((node.module or "").split("."), (alias.name for alias in node.names))
    return names
