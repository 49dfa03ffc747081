"""Engines by name. Each is imported only when it is asked for, and says which extra it needs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from tuner.errors import LaunchError
from tuner.launch.engine import Engine
from tuner.spec.sections import LaunchSettings

LOCAL = "local"
# By name: the module and class, the library that must be there, and the extra that brings it.
_ENGINES: dict[str, tuple[str, str, str | None, str | None]] = {
    LOCAL: ("tuner.launch.local.engine", "LocalEngine", None, None),
    "ray": ("tuner.launch.ray.engine", "RayEngine", "ray", "ray"),
    "slurm": ("tuner.launch.slurm.engine", "SlurmEngine", None, None),
}
ENGINES = tuple(_ENGINES)


def engine_of(name: str, settings: LaunchSettings) -> Engine:
    """The engine of that name with its section of the spec's ``launch``; nothing is reached yet.

    Raises:
        LaunchError: there is none of this name, or its library is not installed.
    """
    if name not in _ENGINES:
        raise LaunchError(f"there is no engine {name!r}; use one of {', '.join(_ENGINES)}")
    module, attribute, library, extra = _ENGINES[name]
    if library is not None and find_spec(library) is None:
        raise LaunchError(f"engine {name} needs a library that is missing: pip install 'keras-champion[{extra}]'")
    engine: Engine = getattr(import_module(module), attribute)(getattr(settings, name, None))
    return engine
