"""Folders of UTF-8 texts as a data source."""

from __future__ import annotations

from pathlib import Path

from tuner.data.bad_files import bad_files_error, printable
from tuner.data.class_folders import TEXTS, LabelledFile, source_roots
from tuner.data.columns import StringWriter
from tuner.data.folder_source import FolderSource, assigned_files, in_order, origin_of, write_classes
from tuner.data.prepared import LAYOUT, InputFacts, PreparedData, TargetFacts, input_stem, open_split
from tuner.data.running_statistics import TextSummary
from tuner.data.source import Progress
from tuner.data.splits import TRAIN
from tuner.errors import DataError
from tuner.spec.data import TextDirectory

_BOM = b"\xef\xbb\xbf"
_PIECE = 256


def text_of(content: bytes) -> bytes:
    """The text in a file, UTF-8: its content without a byte order mark."""
    return content.removeprefix(_BOM)


def _problem_of(content: bytes) -> str | None:
    try:
        text = text_of(content).decode("utf-8")
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text: {error.reason} at byte {error.start}"
    return None if text.strip() else "is empty"


class TextSource(FolderSource):
    """As ``FolderSource``."""

    def __init__(self, data: TextDirectory) -> None:
        super().__init__(data, TEXTS, {}, _problem_of)
        self.folder_name = f"texts-{self.fingerprint[:32]}-layout-{LAYOUT}"

    def write(self, folder: Path, progress: Progress | None) -> PreparedData:
        """As ``DataSource.write``."""
        bad = in_order(self.found, self.problems)
        if bad and self.data.on_error == "fail":
            raise bad_files_error("cannot be used", ", ".join(source_roots(self.data).values()), bad)
        assigned = assigned_files(self.data, self.found, self.problems)
        summary = self._write_texts(assigned, folder, progress)
        write_classes(assigned, folder)
        inputs = (InputFacts(kind="text", column="strings", dtype="string", statistics=summary.stored()),)
        targets = (TargetFacts(task="classification", dtype="int64", class_names=self.found.class_names),)
        return PreparedData(
            folder=folder,
            fingerprint=self.fingerprint,
            kind=self.data.kind,
            inputs=inputs,
            targets=targets,
            splits={
                name: open_split(folder, name, inputs, targets, origin_of(files)) for name, files in assigned.items()
            },
            bad_files=(*self.found.rejected, *bad),
        )

    def _write_texts(
        self, assigned: dict[str, list[LabelledFile]], folder: Path, progress: Progress | None
    ) -> TextSummary:
        """Gives the statistics of the training texts."""
        summary = TextSummary()
        done, total = 0, sum(len(files) for files in assigned.values())
        for name, files in assigned.items():
            with StringWriter(folder, input_stem(name, 0)) as writer:
                for start in range(0, len(files), _PIECE):
                    texts = [_read(file) for file in files[start : start + _PIECE]]
                    writer.write(texts)
                    if name == TRAIN:
                        summary.add(text.decode("utf-8") for text in texts)
                    done += len(texts)
                    if progress is not None:
                        progress(done, total)
        return summary


def _read(file: LabelledFile) -> bytes:
    """Raises DataError: the file is not what it was a moment ago."""
    try:
        content = Path(file.absolute).read_bytes()
    except OSError:
        content = b""
    if _problem_of(content):
        shown = printable(file.absolute)
        raise DataError(f"{shown} changed while it was read: launch again when it is complete", [file.shown])
    return text_of(content)
