"""A small data set of mixed image files, a model trained on it, and its export, shared by the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from PIL import Image

from tuner.champion.export.export_model import ExportReport, ExportRequest, export_model
from tuner.data.cache import PreparedData, prepare
from tuner.spec.search_spec import SearchSpec

SPACE = """
import keras


@keras.saving.register_keras_serializable("tests")
class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2


def build(hp):
    raise AssertionError("an export builds no model")
"""

# Sizes and modes that a folder of real images has, and the file types of the training cache.
_KINDS = [
    ("RGB", (24, 24), ".png"),
    ("RGB", (40, 31), ".jpg"),
    ("L", (17, 29), ".png"),
    ("RGBA", (24, 30), ".png"),
    ("P", (33, 24), ".gif"),
    ("L", (50, 20), ".jpeg"),
    ("RGB", (21, 21), ".bmp"),
]


def _image(rng: np.random.Generator, label: int, mode: str, size: tuple[int, int]) -> Image.Image:
    """Noise around a level that the class shifts too little for any model to get all right."""
    level = rng.normal(100 + 20 * label, 15)
    pixels = rng.normal(level, 40, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_images(root: Path, classes: tuple[str, ...], count: int, seed: int = 3) -> Path:
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            mode, size, suffix = _KINDS[i % len(_KINDS)]
            _image(rng, label, mode, size).save(root / name / f"{i:03} img{suffix}")
    return root


@dataclass(frozen=True)
class Project:
    """Data on disk with a spec and prepared arrays."""

    folder: Path
    spec: SearchSpec
    data: PreparedData

    def request(self, model: Any, value: float, **changes: Any) -> ExportRequest:
        """A request for a trained model, saved as a trial saves its best one."""
        checkpoint = self.folder / f"trial-{len(list(self.folder.glob('trial-*')))}" / "best.keras"
        checkpoint.parent.mkdir()
        model.save(checkpoint)
        values = {
            "spec": self.spec,
            "study": self.spec.study,
            "trial": 3,
            "checkpoint": checkpoint,
            "value": value,
            "metrics": {"loss": 1.25, self.spec.objective.metric: value},
            "params": {"batch_size": 8, "units": 4},
            "class_names": self.data.class_names,
            "data_fingerprint": self.data.fingerprint,
            "cache": self.folder / "cache",
        }
        return ExportRequest.model_validate(values | changes)

    def train(self, model: Any, labels: Any = "integer", epochs: int = 2) -> dict[str, float]:
        """Trains and gives the last epoch's metrics, as a trial would record them."""
        from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches

        form = BatchFormat(labels)
        history = model.fit(
            TrainingBatches(self.data, 8, 1, form).dataset,
            validation_data=evaluation_batches(self.data, 8, form),
            epochs=epochs,
            verbose=0,
        )
        return {name: float(values[-1]) for name, values in history.history.items()}


def _make_project(folder: Path, classes: tuple[str, ...], count: int, **keys: Any) -> Project:
    folder.mkdir(exist_ok=True)
    (folder / "space.py").write_text(SPACE)
    raw = {
        "study": "shades",
        "data": {
            "kind": "image_directory",
            "path": write_images(folder / "images", classes, count),
            "image_size": [24, 24],
            "validation_split": 0.4,
        },
        "space": f"{folder / 'space.py'}:build",
        "objective": "val_accuracy",
    }
    spec = SearchSpec.model_validate(raw | keys)
    return Project(folder, spec, prepare(spec.data, folder / "cache"))


@pytest.fixture(scope="session", name="write_images")
def _write_images() -> Callable[..., Path]:
    return write_images


@pytest.fixture(scope="session")
def make_project() -> Callable[..., Project]:
    return _make_project


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three classes, 42 files each."""
    folder = tmp_path_factory.mktemp("shades")
    return _make_project(folder, ("dark", "mid tone", "light"), 42)


@pytest.fixture(scope="session")
def trained(shades: Project) -> tuple[Any, dict[str, float]]:
    """A model with the layers that ``model.export`` gets wrong, and its recorded metrics."""
    import keras

    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.RandomFlip(),
            keras.layers.RandomRotation(0.1),
            keras.layers.CenterCrop(20, 20),
            keras.layers.Resizing(16, 16),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, shades.train(model, epochs=6)


@pytest.fixture(scope="session")
def request_to_export(shades: Project, trained: tuple[Any, dict[str, float]]) -> ExportRequest:
    model, metrics = trained
    return shades.request(model, metrics["val_accuracy"], metrics=metrics)


@pytest.fixture(scope="session")
def report(request_to_export: ExportRequest, shades: Project) -> ExportReport:
    return export_model(request_to_export, shades.folder / "exports" / "champion", shades.folder / "export.log")


@pytest.fixture
def copy_of(report: ExportReport, tmp_path: Path) -> Callable[[], Path]:
    """Gives a copy of the export that a test may change."""

    def copy() -> Path:
        return shutil.copytree(report.folder, tmp_path / "champion")

    return copy
