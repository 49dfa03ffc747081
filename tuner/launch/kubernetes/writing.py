"""A manifest as text for ``kubectl``, and what must be there before it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from storage.files import publish
from tuner.errors import LaunchError
from tuner.launch.kubernetes.options import PodsWanted
from tuner.launch.kubernetes.pod_template import SECRET_KEY, Manifest


def as_yaml(manifests: Sequence[Manifest], comments: Sequence[str] = ()) -> str:
    """One YAML stream for ``kubectl apply -f -``."""
    lines = "".join(f"# {line}\n" for line in comments)
    return lines + yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=120)


def write(text: str, path: Path) -> None:
    """Writes a manifest, whole or not at all. Raises LaunchError."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        publish(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise LaunchError(f"--output {path}: cannot be written: {error.strerror}") from None


def secret_command(wanted: PodsWanted) -> str:
    """What makes the Secret, with words in place of everything secret."""
    return (
        f"kubectl create secret generic {wanted.secret} --namespace {wanted.namespace} "
        f"--from-literal={SECRET_KEY}='postgresql://USER:PASSWORD@HOST/DATABASE'"
    )
