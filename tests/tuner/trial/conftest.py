"""Trials of the spaces in models.py, run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from tensorflow.config.experimental import enable_op_determinism
from tensorflow.python.framework.config import disable_op_determinism

from tests.attempts import SPACES, Attempts
from tuner.data.cache import prepare
from tuner.spec.choices import Space

MakeAttempts = Callable[..., Attempts]


@pytest.fixture
def attempts(make_spec: Any, cache: Path, tmp_path: Path) -> MakeAttempts:
    """``attempts(space, **keys)``: a trial of a space of models.py, with the spec's keys as of ``make_spec``.

    ``prepared`` is the folder of other data than the spec's.
    """

    def attempts(
        space: str,
        folder: str = "attempts",
        *,
        options: dict[str, Any] | None = None,
        prepared: Path | None = None,
        **keys: Any,
    ) -> Attempts:
        spec = make_spec(**keys)
        named = Space.model_validate({"name": f"{SPACES}:{space}", **(options or {})})
        spec = spec.model_copy(update={"space": named})
        return Attempts(spec, prepared or prepare(spec.data, cache).folder, tmp_path / folder)

    return attempts


@pytest.fixture
def code() -> Callable[[str], str]:
    """A name in models.py, as specs name code."""
    return lambda name: f"{SPACES}:{name}"


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Bit-equal results in this process, and its precision put back."""
    enable_op_determinism()
    yield
    disable_op_determinism()
    keras.mixed_precision.set_global_policy("float32")
