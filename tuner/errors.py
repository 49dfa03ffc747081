"""The errors of the service.

TunerError
├── SpecError            a search spec is wrong: every problem with its key's path
├── RefusedKey           what a key of the spec describes cannot be used
│   ├── DataError        the data cannot be read, split or matched to the study
│   ├── SpaceError       the search space cannot be loaded or built
│   └── PreflightError   the first model or batch failed, before any trial
├── SpecMismatch         a study exists with another spec
├── UnreadableSpec       another version of this software wrote a study's spec
├── VersionDrift         a study was launched with other versions, code or data than are here
├── PresetError          hyperparameter values to try that the search space does not have
├── ExportError          a champion could not be exported or verified
├── UnknownExport        the service does not know an export, or no longer knows it
├── RegistryError        a champion that cannot be promoted, kept or fetched
├── PredictError         a model or its inputs cannot be read
├── ReportError          a report's file cannot be written
├── LaunchError          workers could not be started or ended badly
├── CursorError          a cursor that leads to no page of this list
├── ConfirmationError    something that cannot be undone was not confirmed
└── ServiceError         the HTTP service refuses, cannot start or cannot be reached
    ├── NoAccess         no token, or none that is known
    ├── ScopeTooSmall    the token may not do that
    ├── OtherName        the service is not reached by the name that was used
    ├── TooLarge         more was sent than the service takes
    ├── TooSlow          what was sent took too long to come
    └── TooOften         more requests than the service answers

Each is a user's error: its text is one clear line (or a short list) that says what was wrong, where, and what to do.
``storage.errors.StorageError`` is the root of the storage package's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class TunerError(Exception):
    """Root of everything the service raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a spec: the dotted ``key`` and what is allowed there."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class SpecError(TunerError):
    """A search spec that cannot be used.

    Attributes:
        source: the file or place the spec came from.
        problems: every problem found, in the order of the spec.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(str(problem) for problem in problems))


class RefusedKey(TunerError):
    """What a spec describes cannot be used, though the spec is well-formed.

    Attributes:
        key: the dotted key of the spec that the mistake belongs to.
    """

    def __init__(self, message: str, key: str) -> None:
        self.key = key
        super().__init__(message)


class DataError(RefusedKey):
    """Data that cannot be used.

    Attributes:
        files: the first offending files, if files are to blame.
    """

    def __init__(self, message: str, files: Sequence[str] = (), key: str = "data") -> None:
        self.files = tuple(files)
        super().__init__(message, key)


@contextmanager
def data_at(key: str) -> Iterator[None]:
    """What is wrong with the data in the block belongs to that key of the spec, unless a nearer one is known."""
    try:
        yield
    except DataError as error:
        if error.key == "data":
            error.key = key
        raise


class SpaceError(RefusedKey):
    """A search space that cannot be imported, constructed or explored."""

    def __init__(self, message: str, key: str = "space") -> None:
        super().__init__(message, key)


class PreflightError(RefusedKey):
    """The model with default values, or its first batch, failed before the study was created."""

    def __init__(self, message: str, key: str = "space") -> None:
        super().__init__(message, key)


class SpecMismatch(TunerError):
    """A study of this name exists with another spec.

    Attributes:
        keys: the dotted keys that differ.
    """

    def __init__(self, study: str, keys: Sequence[str], message: str) -> None:
        self.study = study
        self.keys = tuple(keys)
        super().__init__(message)


class UnreadableSpec(TunerError):
    """A study's spec that another version of this software stored, and that this one cannot read.

    Attributes:
        study: its name.
        keys: the dotted keys that this version does not know, or whose values it does not.
        here: the version of this software.
        launched_with: the version that launched the study; None if that is not known.
    """

    def __init__(
        self,
        study: str,
        unknown: Sequence[str],
        refused: Sequence[Problem] = (),
        *,
        here: str,
        launched_with: str | None = None,
    ) -> None:
        self.study = study
        self.keys = (*unknown, *(each.key for each in refused))
        self.here = here
        self.launched_with = launched_with
        why = [f"it does not know the key{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}"] * bool(unknown)
        why += [f"it does not take the value of {each}" for each in refused]
        launched = f"Version {launched_with} launched the study. " if launched_with else ""
        super().__init__(
            f"the stored spec of study {study} cannot be read by keras-champion {here}, which is installed here: "
            f"{'; '.join(why)}. {launched}Upgrade this installation to the newest version that works on the study"
        )


class VersionDrift(TunerError):
    """What is here is not what a study was launched with.

    Attributes:
        names: of what differs: packages, ``python``, ``space``, ``data_source``, ``callbacks``, ``data``.
    """

    def __init__(self, study: str, names: Sequence[str], differing: str) -> None:
        self.study = study
        self.names = tuple(names)
        seeds = (
            ". If a function gives the data, it must give the same each time: its random choices, such as .shuffle, "
            "need a seed"
        )
        super().__init__(
            f"study {study} was launched with other versions, code or data than this machine has: {differing}. Install "
            "or copy what the study was launched with, or work on it anyway with --allow-version-drift"
            f"{seeds if 'data' in self.names else ''}"
        )


class PresetError(TunerError):
    """Values to try that a study's search space does not have.

    Attributes:
        problems: what is wrong with each, and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class ExportError(TunerError):
    """A trial that cannot be exported, or an export that did not reproduce its score."""


class UnknownExport(TunerError):
    """An export that the service does not know, or no longer knows."""

    def __init__(self, study: str, export: str) -> None:
        super().__init__(
            f"the service knows no export {export} of study {study}: it may have been restarted; export again"
        )


class RegistryError(TunerError):
    """A champion that cannot be promoted, kept or fetched."""


class PredictError(TunerError):
    """An exported model or an input to it that cannot be read."""


class ReportError(TunerError):
    """A report whose file cannot be written."""


class LaunchError(TunerError):
    """Workers that could not be started, or that ended badly."""


class CursorError(TunerError):
    """A cursor that is none, or that belongs to another list."""


class ConfirmationError(TunerError):
    """Something that cannot be undone, and that was not confirmed by its name."""


class ServiceError(TunerError):
    """An HTTP service that refuses, cannot start or cannot be reached."""


class NoAccess(ServiceError):
    """A request without a token, or with one that is not known, was revoked or has expired."""


class ScopeTooSmall(ServiceError):
    """A token that may not do what it asks for."""


class TooLarge(ServiceError):
    """A request that is larger than the service takes."""


class TooSlow(ServiceError):
    """A request that did not come as a whole in time."""


class OtherName(ServiceError):
    """A request for a name that the service is not reached by."""


class TooOften(ServiceError):
    """More requests than the service answers to one client.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, seconds: int, message: str | None = None) -> None:
        self.seconds = seconds
        super().__init__(message or f"too many requests: wait {seconds} s")
