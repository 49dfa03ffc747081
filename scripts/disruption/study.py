"""The study that is disrupted: real images, a sampler without memory, results that are equal from run to run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from storage.connecting import connect
from storage.database import Database
from storage.studies import StudyRecord
from tuner.launch.opening import Event, open_or_create
from tuner.spec.reading import validate_spec
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Resources
from tuner.study.locations import new_study_artifacts
from tuner.worker.settings import WorkerSettings

_SPACE = Path(__file__).with_name("space.py")


@dataclass(frozen=True)
class Scale:
    """How much is trained, and by whom.

    Attributes:
        epochs: the most of a trial; early stopping ends some sooner.
        lease_seconds: short, so that an adoption is waited for in seconds.
    """

    trials: int = 24
    epochs: int = 14
    workers: int = 3
    lease_seconds: float = 5.0


@dataclass(frozen=True)
class Place:
    """Everything that workers of one study need."""

    folder: Path
    spec: SearchSpec
    url: str
    scale: Scale

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def logs(self) -> Path:
        """Where the workers' logs go."""
        return self.folder / f"workers-{self.spec.study}"

    def trial_folder(self, number: int) -> Path:
        return Path(str(self.spec.artifacts), self.spec.study, "trials", f"{number:05d}")

    def named(self, study: str, url: str) -> Place:
        """The same under another name, in another database."""
        return replace(self, url=url, spec=self.spec.model_copy(update={"study": study}))

    def orders(self, slots: int = 1) -> WorkerSettings:
        """What the study's workers are told.

        Every disruption costs an attempt, and how many hit one trial is chance: with the usual limit of three a trial
        would fail as it should. That limit is not what is shown here.
        """
        return WorkerSettings(
            study=self.spec.study,
            cache=self.cache,
            resources=Resources(slots=slots, gpus_per_trial=0, threads_per_slot=1),
            lease_seconds=self.scale.lease_seconds,
            max_attempts=1000,
        )


def make_place(folder: Path, images: Path, url: str, scale: Scale, seed: int) -> Place:
    """A study on images in class folders.

    Args:
        folder: for everything that is written.
        seed: of the sampler and of every trial.
    """
    raw = {
        "study": "chaos",
        "data": {
            "kind": "image_directory",
            "path": str(images),
            "image_size": [16, 16],
            "color_mode": "grayscale",
            "validation_split": 0.2,
        },
        "space": {"name": f"{_SPACE}:Fragile", "classes": sum(1 for each in images.iterdir() if each.is_dir())},
        "objective": "val_accuracy",
        "trials": scale.trials,
        # These two have no memory: what a trial is, and how long it trains, depends on its number alone.
        "sampler": "random",
        "pruner": "none",
        "seed": seed,
        "training": {
            "epochs": scale.epochs,
            "early_stopping": {"patience": max(2, scale.epochs // 2)},
            "deterministic": True,
            # Short, so that a trial that hangs is waited for in seconds.
            "hang_timeout": 10,
        },
        "artifacts": str(folder / "artifacts"),
    }
    return Place(folder, validate_spec(raw, source="chaos", base=folder), url, scale)


def create_study(place: Place) -> tuple[Database, StudyRecord]:
    """Checks and creates the study as launching does; the caller closes the database."""
    # The preflight decodes the data where the workers will look for it.
    os.environ["TUNER_CACHE"] = str(place.cache)
    database = connect(place.url, create=True)
    try:
        artifacts = new_study_artifacts(place.spec, place.url)
        return database, open_or_create(database, place.spec, artifacts, _ignore).record
    except BaseException:
        database.close()
        raise


def _ignore(event: Event) -> None:
    """The preflight's news."""
