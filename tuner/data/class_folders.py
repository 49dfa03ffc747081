"""Finds files of one kind in folders, one folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuner.data.bad_files import BadFile, bad_files_error, printable
from tuner.data.splits import TRAIN
from tuner.errors import DataError, data_at
from tuner.spec.data import ImageDirectory, TextDirectory

FolderSpec = ImageDirectory | TextDirectory

_Directory = tuple[int, int]


@dataclass(frozen=True)
class FileKind:
    """Files that are looked for.

    Attributes:
        name: of one, for errors.
        extensions: in lower case, with the dot.
    """

    name: str
    extensions: frozenset[str]

    def has(self, file: str) -> bool:
        """Whether a file's name says that it is of this kind."""
        return os.path.splitext(file)[1].lower() in self.extensions


IMAGES = FileKind("image", frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif"}))
TEXTS = FileKind("text", frozenset({".txt"}))


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One file to read.

    Attributes:
        root: the folder that holds the class folders, absolute.
        path: relative to ``root``; its first component is the class folder.
        label: index into the scan's ``class_names``.
        shown: the name that errors and counts use (see ``BadFile.file``).
    """

    root: str
    path: str
    label: int
    shown: str

    @property
    def absolute(self) -> str:
        return os.path.join(self.root, self.path)


@dataclass(frozen=True)
class Scan:
    """What the folders hold.

    Attributes:
        sources: by source (``train``; ``validation`` and ``test`` if they have folders of their
            own), its files in the order of their relative paths' bytes.
        class_names: class folders in the order of their names' bytes; empty without classes.
        rejected: files of an unsupported type, which are in no source.
    """

    sources: dict[str, tuple[LabelledFile, ...]]
    class_names: tuple[str, ...]
    rejected: tuple[BadFile, ...]


def scan(data: FolderSpec, kind: FileKind) -> Scan:
    """Lists the files of a source that are of a kind.

    Hidden files and folders are ignored, and so are files of other kinds beside the class
    folders. Folders inside a class folder belong to the class; links are followed, each folder
    once in a class.

    Raises:
        DataError: a folder is missing, unreadable or empty, there is one class only, folders hold
            different classes, a file of the kind lies beside the class folders, or (``on_error: fail``) a
            file is of an unsupported type.
    """
    roots = source_roots(data)
    class_names = class_folders(data, kind)
    sources: dict[str, tuple[LabelledFile, ...]] = {}
    rejected: list[BadFile] = []
    for source, root in roots.items():
        prefix = "" if len(roots) == 1 else f"{source}/"
        bad: list[BadFile] = []
        with data_at(data.key_of(source)):
            sources[source] = _files_of(kind, root, class_names, prefix, bad)
        if bad and data.on_error == "fail":
            raise bad_files_error("are not supported", root, bad)
        rejected.extend(bad)
    return Scan(sources, class_names, tuple(rejected))


def source_roots(data: FolderSpec) -> dict[str, str]:
    """The folder of each source; one given as ``path`` is the source ``train``."""
    return {source: os.fspath(folder) for source, folder in data.places.items()}


def class_folders(data: FolderSpec, kind: FileKind) -> tuple[str, ...]:
    """The classes that the folders of all sources have, in the order of the names' bytes; none without classes.

    Raises:
        DataError: a folder is missing or unreadable, or its classes are not those of the others.
    """
    roots = source_roots(data)
    if isinstance(data, ImageDirectory) and data.labels == "none":
        for source, root in roots.items():
            with data_at(data.key_of(source)):
                _entries(root)
        return ()
    classes: dict[str, tuple[str, ...]] = {}
    for source, root in roots.items():
        with data_at(data.key_of(source)):
            classes[source] = _class_folders(root, kind)
            _check_same_classes(classes[source], classes[TRAIN], root, roots[TRAIN])
    return classes[TRAIN]


def _class_folders(root: str, kind: FileKind) -> tuple[str, ...]:
    names = []
    for entry in _entries(root):
        if entry.is_dir():
            names.append(_readable_class_name(entry.name, root))
        elif kind.has(entry.name):
            raise DataError(
                f"{printable(entry.path)} lies beside the class folders: move it into the folder of its class",
                [entry.name],
            )
    if not names:
        raise DataError(f"{printable(root)} is empty: it needs one folder of {kind.name}s per class")
    if len(names) == 1:
        raise DataError(f"{printable(root)} holds only one class ({names[0]!r}): classification needs two")
    return tuple(names)


def _readable_class_name(name: str, root: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"the class folder {printable(name)} in {printable(root)} has a name that is not "
            "UTF-8; models are exported with class names, so rename it"
        ) from None
    return name


def _check_same_classes(found: tuple[str, ...], expected: tuple[str, ...], root: str, train: str) -> None:
    missing = sorted(set(expected) - set(found))
    unknown = sorted(set(found) - set(expected))
    if missing or unknown:
        lacks = f" lacks {', '.join(map(repr, missing))}" if missing else ""
        adds = f" has the unknown {', '.join(map(repr, unknown))}" if unknown else ""
        raise DataError(
            f"{printable(root)} must hold the same classes as {printable(train)}: it"
            f"{lacks}{' and' if lacks and adds else ''}{adds}"
        )


def _files_of(
    kind: FileKind, root: str, class_names: tuple[str, ...], prefix: str, rejected: list[BadFile]
) -> tuple[LabelledFile, ...]:
    """The files of a kind in order; those of other kinds are added to ``rejected``."""
    found: list[LabelledFile] = []
    # Without classes, the whole folder is searched as one.
    for label, name in enumerate(class_names or ("",)):
        before = len(found) + len(rejected)
        for path in _files(root, name, {_identity(root)} if name else set()):
            reason = _unsupported(kind, root, path)
            if reason:
                rejected.append(BadFile(prefix + path, reason))
            else:
                found.append(LabelledFile(root, path, label, prefix + path))
        if len(found) + len(rejected) == before:
            folder = os.path.join(root, name)
            what = "class folder" if name else "folder"
            raise DataError(f"the {what} {printable(folder)} is empty: add {kind.name}s to it or remove it")
    rejected.sort(key=lambda bad: os.fsencode(bad.file))
    return tuple(sorted(found, key=lambda file: os.fsencode(file.path)))


def _files(root: str, folder: str, above: set[_Directory]) -> Iterator[str]:
    """Relative paths of all files under ``folder``; ``above`` grows by every folder visited."""
    absolute = os.path.join(root, folder)
    identity = _identity(absolute)
    if identity in above:
        return
    above.add(identity)
    for entry in _entries(absolute):
        path = os.path.join(folder, entry.name)
        if entry.is_dir():
            yield from _files(root, path, above)
        else:
            yield path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """The visible entries of a folder in the order of their names' bytes."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise _folder_error(folder, error) from None
    return sorted(visible, key=lambda entry: os.fsencode(entry.name))


def _identity(folder: str) -> _Directory:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise _folder_error(folder, error) from None
    return status.st_dev, status.st_ino


def _folder_error(folder: str, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{printable(folder)} does not exist: check the path in the spec's data")
    if isinstance(error, NotADirectoryError):
        return DataError(f"{printable(folder)} is a file, not a folder of class folders")
    return DataError(f"{printable(folder)} cannot be read: {error.strerror}")


def _unsupported(kind: FileKind, root: str, path: str) -> str | None:
    if not kind.has(path):
        suffix = printable(os.path.splitext(path)[1])
        supported = ", ".join(sorted(extension[1:] for extension in kind.extensions))
        return f"{suffix or 'no file type'}; supported are {supported}"
    file = Path(root, path)
    # A broken link stays in: reading it says why. Opening a pipe would wait for ever.
    return "is not a regular file" if file.exists() and not file.is_file() else None
