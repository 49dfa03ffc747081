"""A study's files: what each is called, where it is kept, and which of them belong together.

Models, resume checkpoints, the record of the splits and the logs of ended attempts are artifacts, kept where all
workers reach them. What a process is still writing is a local file. Where the artifacts are a folder, both are the
same place.

Every attempt at a trial writes to a run of its own, named after its lease's token: a worker that was frozen, and whose
trial another one has adopted, can do no harm to the adopter's files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from storage.artifact_store import Artifact, ArtifactStore, check
from storage.bucket_store import SCHEME, BucketStore
from storage.errors import InvalidPlace
from storage.folder_store import FolderStore
from storage.log_truncation import cap

_SPLITS = "splits.json"
_BLOBS = "champions/blobs"
_LOG = "trial.log"
_WORKERS = "workers"
_LAUNCHES = "launches"
_PROBE_BYTES = 1 << 20
_PREFIXES = ("trials/", "champions/", f"{_WORKERS}/", f"{_LAUNCHES}/")
_RESUME = re.compile(r"trials/(\d+)/run-(\d+)/resume/epoch-(\d+)\.(\d+)\.([0-9a-f]{64})\.npz")
_RUN_LOG = re.compile(rf"trials/\d+/run-(\d+)/{re.escape(_LOG)}")
# Everything that is ever written of a study: what else lies in its folder is somebody's own, and is left alone.
_OWN_FILE = re.compile(
    r"(splits\.json|(launcher|preflight|export)(\.forkserver)?\.log(\.capped)?|workers/(\.probe|[^/]+\.log(\.capped)?)|launches/\d+/.+"
    r"|champions/blobs/[0-9a-f]{64}|trials/\d{5,}/run-\d{3,}/.+|(callbacks|tensorboard)/\d{5,}(-\d+)?/.+"
    r"|(.+/)?\.[0-9a-f]{32}(\.\w+)?)",
    re.DOTALL,
)


@dataclass(frozen=True)
class ResumeFile:
    """A resume checkpoint, as its key describes it.

    Attributes:
        run: the attempt that wrote it: its lease's token.
        epoch: epochs trained when it was written.
    """

    artifact: Artifact
    run: int
    epoch: int


class StudyArtifacts:
    """The files of one study. Folders are made when a file is written, not before.

    Args:
        store: keeps the artifacts; its keys are relative to the study.
        folder: this machine's place for the study's local files.

    Attributes:
        place: what ``at`` was given, for another process to open the same artifacts; likewise ``scratch``.
    """

    def __init__(self, store: ArtifactStore, folder: Path, place: str, scratch: Path) -> None:
        self._store = store
        self.folder = folder
        self.place = place
        self.scratch = scratch

    @classmethod
    def at(cls, place: str | Path, study: str, scratch: Path) -> StudyArtifacts:
        """The artifacts of a study at a place as its record names it.

        Args:
            place: an absolute folder, or ``s3://bucket/prefix``.
            study: its name, a single path component.
            scratch: a folder of this machine for the local files of studies whose place is no folder.

        Raises:
            InvalidPlace: the place cannot be used at all.
        """
        place, study = str(place), _component(study)
        if place.startswith(SCHEME):
            # Two buckets may have a study of the same name.
            folder = scratch / f"{study}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
            return cls(BucketStore(place, study), folder, place, scratch)
        if "://" in place:
            raise InvalidPlace(place, "a folder or s3://BUCKET/PREFIX")
        folder = Path(place) / study
        return cls(FolderStore(folder), folder, place, scratch)

    # --- local files

    def trial_log(self, number: int, run: int) -> Path:
        """What an attempt's process prints."""
        return self.folder / self.log_key(number, run)

    def worker_log(self, worker_id: str) -> Path:
        return self.folder / _WORKERS / f"{_component(worker_id)}.log"

    def launch_folder(self, number: int) -> Path:
        """For the files of an engine that was told to run workers."""
        return self.folder / _launch(number)

    def launcher_log(self) -> Path:
        return self.folder / "launcher.log"

    def preflight_log(self) -> Path:
        return self.folder / "preflight.log"

    def tensorboard_folder(self) -> Path:
        """A folder for each trial's TensorBoard logs, of the trials that ran on this machine."""
        return self.folder / "tensorboard"

    def callbacks_folder(self, number: int) -> Path:
        """For what callbacks of the user's write in a trial."""
        return self.folder / "callbacks" / f"{number:05d}"

    def export_log(self) -> Path:
        return self.folder / "export.log"

    # --- artifacts. All of these raise ArtifactsUnavailable when the store is away.

    def place_of(self, key: str) -> str:
        """Where an artifact is, for people and for the study's record."""
        return f"{self._store.place}/{key}"

    def key_of(self, place: str) -> str:
        """The key of an artifact that ``place_of`` named."""
        return place.removeprefix(f"{self._store.place}/")

    def put_splits(self, text: str) -> None:
        """Keeps the record of which examples are in which split. Undecodable bytes of names are lone surrogates."""
        data = text.encode("utf-8", "surrogateescape")
        self._store.put(_SPLITS, lambda file: _write_bytes(file, data))

    def check_writable(self) -> None:
        """Raises ArtifactsUnavailable unless a megabyte can be written to the store now."""
        key = f"{_WORKERS}/.probe"
        # Where zeros would be, there might be none.
        self._store.put(key, lambda file: _write_bytes(file, os.urandom(_PROBE_BYTES)))
        self._store.remove(key)

    def splits(self) -> str:
        """Raises MissingArtifact: it is gone."""
        with self._store.fetched(_SPLITS) as file:
            return file.read_text(encoding="utf-8", errors="surrogateescape")

    def put_model(self, number: int, run: int, write: Callable[[Path], None]) -> Artifact:
        """Keeps the best epoch's model of an attempt; ``write`` saves it as ``.keras``."""
        return self._store.put(f"{_run(number, run)}/best.keras", write)

    @contextmanager
    def fetched(self, artifact: Artifact) -> Iterator[Path]:
        """The file on this machine, checked, while the block lasts.

        Raises:
            MissingArtifact: there is none.
            DamagedArtifact: it is not what was written.
        """
        with self._store.fetched(artifact.key) as file:
            check(artifact, file, self._store.place)
            yield file

    def fetched_unchecked(self, artifact: Artifact) -> AbstractContextManager[Path]:
        """As ``fetched``, for a caller that checks its copy."""
        return self._store.fetched(artifact.key)

    def put_blob(self, file: Path) -> Artifact:
        """Keeps a file of an export under its own SHA-256: equal content is there once, and a damaged one is mended."""
        return self._store.put(f"{_BLOBS}/{{sha256}}", lambda target: _copy(file, target))

    def blob(self, sha256: str) -> Artifact:
        """What ``put_blob`` kept of that content, for ``fetched``."""
        return Artifact(f"{_BLOBS}/{sha256}", None, sha256)

    def put_resume(self, number: int, run: int, epoch: int, write: Callable[[Path], None]) -> ResumeFile:
        """Keeps a resume checkpoint, whose name says how it is recognised."""
        template = f"{_run(number, run)}/resume/epoch-{epoch:06d}.{{size}}.{{sha256}}.npz"
        return ResumeFile(self._store.put(template, write), run, epoch)

    def resume_files(self, number: int) -> list[ResumeFile]:
        """The trial's resume checkpoints: those of the last attempt first, and of each the newest first."""
        found = [resume_file(key) for key in self._store.keys(f"{_trial(number)}/")]
        known = [file for file in found if file is not None]
        return sorted(known, key=lambda file: (file.run, file.epoch), reverse=True)

    def remove(self, key: str) -> None:
        """Deletes an artifact; nothing happens if there is none."""
        self._store.remove(key)

    def remove_all(self) -> None:
        """Deletes every file of the study: those in the store, and those on this machine. Other files there stay."""
        for key in (_SPLITS, *(key for prefix in _PREFIXES for key in self._store.keys(prefix))):
            if _OWN_FILE.fullmatch(key):
                self._store.remove(key)
        for parent, folders, files in os.walk(self.folder, topdown=False):
            links = [name for name in folders if Path(parent, name).is_symlink()]
            for path in (Path(parent, name) for name in (*files, *links)):
                if _OWN_FILE.fullmatch(path.relative_to(self.folder).as_posix()):
                    with suppress(OSError):
                        path.unlink()
            with suppress(OSError):
                Path(parent).rmdir()

    def put_launch_file(self, number: int, name: str, write: Callable[[Path], None]) -> None:
        """Keeps a file of a launch, such as a worker's log, in place of what had its name."""
        self._store.put(f"{_launch(number)}/{name}", write)

    def launch_files(self, number: int) -> list[str]:
        """The names of the files that are kept of a launch."""
        prefix = f"{_launch(number)}/"
        return [key.removeprefix(prefix) for key in self._store.keys(prefix)]

    def launch_file(self, number: int, name: str) -> AbstractContextManager[Path]:
        """A file of a launch on this machine while the block lasts. Raises MissingArtifact: there is none."""
        return self._store.fetched(f"{_launch(number)}/{name}")

    def tidy(self, number: int, keep: str | None) -> None:
        """Deletes what a closed trial does not need any more: all but its logs and the artifact ``keep``."""
        for key in self._store.keys(f"{_trial(number)}/"):
            if key != keep and _OWN_FILE.fullmatch(key) and not _RUN_LOG.fullmatch(key):
                self._store.remove(key)

    def keep_log(self, number: int, run: int) -> None:
        """Cuts an ended attempt's log if it is long; takes it to the other artifacts unless it was written there."""
        self._keep(self.trial_log(number, run), self.log_key(number, run))

    def keep_worker_log(self, worker_id: str) -> None:
        """Likewise the log of a worker that leaves."""
        self._keep(self.worker_log(worker_id), f"{_WORKERS}/{_component(worker_id)}.log")

    def _keep(self, log: Path, key: str) -> None:
        if not log.is_file():
            return
        cap(log)
        if self._store.place != os.fspath(self.folder):
            self._store.put(key, lambda file: _copy(log, file))

    def log_key(self, number: int, run: int) -> str:
        """Where ``keep_log`` takes the log of an attempt."""
        return f"{_run(number, run)}/{_LOG}"

    def logs(self, number: int) -> list[Artifact]:
        """The logs of the trial's attempts that are kept, the first attempt's first."""
        found = [_RUN_LOG.fullmatch(key) for key in self._store.keys(f"{_trial(number)}/")]
        return [Artifact(log[0]) for log in sorted(filter(None, found), key=lambda log: int(log[1]))]

    def worker_logs(self, name: str) -> list[Artifact]:
        """The logs that are kept of a worker by its id, or of all that had a name in front of their ids."""
        logs = [key for key in self._store.keys(f"{_WORKERS}/") if not key.endswith(".forkserver.log")]
        ids = {key: key.removeprefix(f"{_WORKERS}/").removesuffix(".log") for key in logs}
        return [Artifact(key) for key, found in sorted(ids.items()) if found == name or found.startswith(f"{name}-")]


def resume_file(key: str) -> ResumeFile | None:
    """What the key of a resume checkpoint says; None for any other key."""
    match = _RESUME.fullmatch(key)
    if match is None:
        return None
    _, run, epoch, size, sha256 = match.groups()
    return ResumeFile(Artifact(key, int(size), sha256), int(run), int(epoch))


def _trial(number: int) -> str:
    return f"trials/{number:05d}"


def _run(number: int, run: int) -> str:
    return f"{_trial(number)}/run-{run:03d}"


def _launch(number: int) -> str:
    return f"{_LAUNCHES}/{number}"


def _write_bytes(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _component(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a file name")
    return name
