"""Specs to begin with, with a comment on every key."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tuner.errors import Problem, SpecError
from tuner.spec.choices import SPACES


def write_template(kind: str, path: Path | None = None) -> Path:
    """Writes a spec with a comment on every key, and never over a file that is there.

    Raises:
        SpecError: there is no such kind, or the file exists.
    """
    template = resources.files("tuner").joinpath("templates", f"{kind}.yaml")
    if kind not in SPACES:
        raise SpecError("tuner init", [Problem("", f"no template {kind!r}; one of {', '.join(SPACES)}")])
    path = path or Path(f"{kind}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.read_text(encoding="utf-8"))
    except FileExistsError:
        raise SpecError(str(path), [Problem("", "exists already; name another file")]) from None
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"cannot be written: {error.strerror}")]) from None
    return path
