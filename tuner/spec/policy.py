"""Which specs are taken from people who may use this machine's workers, and not its files or its code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuner.errors import Problem, SpecError
from tuner.spec.choices import SPACES
from tuner.spec.data import DATA_KINDS
from tuner.spec.field_types import CodePlace
from tuner.spec.problems import is_said
from tuner.spec.reading import examine_spec
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Training

# They say where a study's files and workers are. `launch` has shell lines and environments in it.
_OPERATORS_KEYS = ("storage", "artifacts", "launch")
_RESOLVES_CODE = get_args(CodePlace)[1]


def _names_code(field: FieldInfo) -> bool:
    return _RESOLVES_CODE in field.metadata or CodePlace in get_args(field.annotation)


def _code_in(model: type[BaseModel]) -> Iterator[str]:
    return (name for name, field in model.model_fields.items() if _names_code(field))


# Keys and kinds of data that nobody outside may use.
NOT_OFFERED = frozenset(
    (
        *_OPERATORS_KEYS,
        *(f"training.{name}" for name in _code_in(Training)),
        *(kind for kind, model in DATA_KINDS.items() if any(_code_in(model))),
    )
)


@dataclass(frozen=True)
class SpecPolicy:
    """What the operator allows.

    Attributes:
        spaces: beside the built-in ones: ``package.module:Class``, or an absolute ``path/to/file.py:Class``. They are
            constructed with whatever options the caller gives.
        data_roots: folders that data may be in; relative paths are relative to the first one.
        launchers: engines that may be asked to run workers.
        max_workers: of one launch.
        max_trials: of one study.
        max_prepared_bytes: on this node's disk, of the prepared data of one study.
    """

    spaces: frozenset[str] = frozenset()
    data_roots: tuple[Path, ...] = ()
    launchers: frozenset[str] = frozenset()
    max_workers: int = 16
    max_trials: int = 10_000
    max_prepared_bytes: int = 50 * 2**30

    def check_launcher(self, name: str, workers: int) -> None:
        """Raises SpecError for an engine that is not allowed, or for more workers than are."""
        if name not in self.launchers:
            allowed = ", ".join(sorted(self.launchers)) or "none"
            raise SpecError("request", [Problem("on", f"the service does not allow {name!r}; it allows: {allowed}")])
        if workers > self.max_workers:
            raise SpecError(
                "request", [Problem("workers", f"the service allows at most {self.max_workers} workers, not {workers}")]
            )

    def check_trials(self, trials: int | None) -> None:
        """Raises SpecError for a larger budget than is allowed."""
        if trials is not None and (problems := _trials_problems(trials, self)):
            raise SpecError("request", problems)


def examine_outside_spec(raw: Mapping[str, Any], policy: SpecPolicy) -> tuple[SearchSpec | None, list[Problem]]:
    """What is wrong with a spec that came from outside, and the spec without what cannot be read of it.

    It may be used if nothing is wrong: then it names nothing that the operator did not allow. Of a path, what counts is
    where it leads to: through links and ``..``. Links inside a folder of data are the operator's.
    """
    base = policy.data_roots[0] if policy.data_roots else Path("/")
    spec, problems = examine_spec(raw, base=base, not_offered=NOT_OFFERED)
    if spec is None:
        return None, problems
    fields = SearchSpec.model_fields
    given = [key for key in _OPERATORS_KEYS if getattr(spec, key) != fields[key].default]
    operators = [Problem(key, "only the operator of the service decides this; leave it out") for key in given]
    named = [problem for found in _named_in(spec) if (problem := _refusal(found, policy)) is not None]
    refused = [*_space_problems(spec, policy), *named, *_trials_problems(spec.trials, policy), *operators]
    return spec, [*problems, *(each for each in refused if not is_said(each.key, problems))]


@dataclass(frozen=True)
class _Named:
    """A path, or the name of a function, at a spec's key."""

    key: str
    value: Path | str
    is_code: bool


def _named_in(section: BaseModel, prefix: str = "") -> Iterator[_Named]:
    """Every path and name of code in a spec, found by the types of its keys: a new key is not forgotten here."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, BaseModel):
                yield from _named_in(each, f"{prefix}{name}.")
            elif isinstance(each, Path) or (each is not None and _names_code(field)):
                yield _Named(f"{prefix}{name}", each, not isinstance(each, Path))


def _refusal(found: _Named, policy: SpecPolicy) -> Problem | None:
    if found.is_code:
        return Problem(found.key, "specs for this service cannot name code of your own")
    path, roots = Path(found.value), policy.data_roots
    if ":/" in str(path):
        return Problem(found.key, "data is read from files, not from a URL")
    try:
        if leads_into(roots, path):
            return None
    except (OSError, ValueError, RuntimeError):
        # A loop of links, a name that is too long, a NUL.
        return Problem(found.key, "this is not a usable path")
    return Problem(found.key, f"the path is outside the folders that may hold data: {_listed(map(str, roots))}")


def leads_into(roots: Iterable[Path], path: Path) -> bool:
    """Whether a path is in one of those folders, or one of them: where it leads to counts, through links and ``..``.

    Raises:
        OSError, ValueError, RuntimeError: it is a loop of links, too long, or has a NUL.
    """
    return any(path.resolve().is_relative_to(root.resolve()) for root in roots)


def _space_problems(spec: SearchSpec, policy: SpecPolicy) -> Sequence[Problem]:
    allowed = (*SPACES, *sorted(policy.spaces))
    if spec.space.name in allowed:
        return ()
    return [Problem("space", f"the service does not allow this search space; it allows: {_listed(allowed)}")]


def _trials_problems(trials: int, policy: SpecPolicy) -> Sequence[Problem]:
    return (
        [Problem("trials", f"the service allows at most {policy.max_trials} trials, not {trials}")]
        if trials > policy.max_trials
        else []
    )


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"
