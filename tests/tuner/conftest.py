"""Studies on a few tiny images, run by the real worker with real trial processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from storage import studies
from storage.connecting import connect
from storage.database import Database
from storage.studies import StudyRecord
from tuner.data.cache import prepare
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.worker.settings import WorkerSettings
from tuner.worker.supervisor import Supervisor

SPACES = Path(__file__).with_name("spaces.py")
CLASSES = ("bright", "dark", "striped")


def write_images(folder: Path, per_class: int = 20) -> Path:
    """Grey images of 8 by 8 pixels in three classes that a small network tells apart."""
    noise = np.random.Generator(np.random.PCG64(0))
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            pixels = noise.integers(0, 90, (8, 8))
            if name == "bright":
                pixels += 160
            if name == "striped":
                pixels[::2] += 160
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "shapes")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


MakeSpec = Callable[..., SearchSpec]


@pytest.fixture
def make_spec(images: Path, tmp_path: Path) -> MakeSpec:
    """A spec on the images; keyword arguments replace its keys, ``space`` names a class of spaces.py."""

    def make(space: str = "Fast", **keys: Any) -> SearchSpec:
        raw: dict[str, Any] = {
            "study": "shapes",
            "data": {
                "kind": "image_directory",
                "path": str(images),
                "image_size": [8, 8],
                "color_mode": "grayscale",
                "validation_split": 0.25,
            },
            "space": {"name": f"{SPACES}:{space}", **keys.pop("options", {})},
            "objective": "val_accuracy",
            "trials": 3,
            "pruner": "none",
            "training": {"epochs": 2, "batch_size": 16},
            "artifacts": str(tmp_path / "artifacts"),
        }
        return validate_spec(raw | keys, source="test", base=tmp_path)

    return make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    yield opened
    opened.close()


CreateStudy = Callable[..., StudyRecord]


@pytest.fixture
def create_study(database: Database, cache: Path) -> CreateStudy:
    """Creates a spec's study without the preflight, which has tests of its own."""

    def create(spec: SearchSpec, **space: Any) -> StudyRecord:
        prepared = prepare(spec.data, cache)
        return studies.create_study(
            database,
            spec.study,
            objectives=[each.model_dump() for each in spec.objectives],
            spec=spec.stored(),
            summary=prepared.describe(),
            fingerprint=prepared.fingerprint,
            artifacts=str(spec.artifacts),
            budget=spec.trials,
            timeout=spec.timeout,
            versions={},
            space={"hyperparameters": [], "grid": None, **space},
        )

    return create


RunWorker = Callable[..., None]


@pytest.fixture
def run_worker(database: Database, cache: Path) -> RunWorker:
    """Runs a worker in this process until the study has ended; its trials are processes all the same."""

    def run(spec: SearchSpec, **settings: Any) -> None:
        orders = WorkerSettings(study=spec.study, cache=cache, resources=spec.resources, **settings)
        Supervisor(orders, database).run()

    return run
