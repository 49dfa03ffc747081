"""What is refused before a study is created."""

from __future__ import annotations

import pytest

from storage import studies
from tuner.errors import SpecError
from tuner.launch import opening
from tuner.study.locations import new_study_artifacts


def test_tensorboard_without_its_library_is_refused_with_what_to_install(make_spec, database, monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    spec = make_spec("Fast", training={"epochs": 1, "tensorboard": True})
    with pytest.raises(SpecError, match=r"training.tensorboard: .*pip install 'keras-champion\[tensorboard\]'"):
        opening.open_or_create(database, spec, new_study_artifacts(spec, "sqlite://"), lambda event: None)
    assert studies.list_studies(database) == []
