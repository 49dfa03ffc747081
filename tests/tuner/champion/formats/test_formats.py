"""The export of an image champion in every format, and what is held against a file that is not right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tuner.champion import clean
from tuner.champion.card.loading import code
from tuner.champion.export.export_model import Exporter, ExportReport, ExportRequest, export_model
from tuner.champion.export.model_process import model_process
from tuner.champion.formats.offered import FORMATS, checked_formats
from tuner.champion.formats.pixels import write_pixels
from tuner.champion.messages import Converted, ConvertedFile
from tuner.champion.proof.formats import FormatProof
from tuner.champion.proof.verification import Exported, verify
from tuner.champion.records.champion_json import read_champion
from tuner.champion.records.format_report import FormatReport
from tuner.data.prepared import open_prepared
from tuner.errors import ExportError

pytestmark = pytest.mark.slow

LITERT = ["litert", "litert_float16", "litert_int8"]


@pytest.fixture(scope="module")
def everything(request_to_export: ExportRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    folder = tmp_path_factory.mktemp("everything")
    return export_model(request_to_export, folder / "champion", folder / "export.log", FORMATS)


@pytest.mark.fast
def test_every_format_gives_what_the_study_recorded(everything: ExportReport) -> None:
    champion = read_champion(everything.folder)
    assert [each.name for each in champion.formats] == ["keras", "saved_model", "onnx", *LITERT]
    assert [each.refused for each in champion.formats] == [None] * 6
    for each in champion.formats:
        assert each.file is not None and each.bytes and each.takes and each.gives
        assert each.latency_ms is not None and each.per_second is not None
        assert each.latency_ms > 0 and each.per_second > 0
        assert each.max_difference is not None
        quantised = each.name in LITERT[1:]
        assert each.max_difference < (0.2 if quantised else 1e-3)
        assert each.verified or quantised
        assert each.value == pytest.approx(champion.value, abs=0.05 if quantised else 1e-6)
        assert (each.cost is not None) == quantised
    assert {"onnx", "tf2onnx", "onnxruntime", "ai_edge_litert"} <= champion.versions.keys()
    sizes = {each.name: each.bytes for each in champion.formats}
    files = {name for name in champion.files if name.startswith("model")}
    assert files == {"model.keras", "model.onnx", "model.tflite", "model-float16.tflite", "model-int8.tflite"}
    assert sizes["onnx"] == (everything.folder / "model.onnx").stat().st_size


@pytest.mark.parametrize("name", ["keras", "saved_model", "onnx", "litert"])
def test_the_lines_on_the_card_run_as_they_are(name: str, everything: ExportReport, tmp_path: Path) -> None:
    folder = shutil.copytree(everything.folder, tmp_path / "champion")
    Image.new("RGB", (31, 40)).save(folder / "photo.jpg")
    lines = code(everything.champion, _named(everything, name))
    assert len(lines) <= 5
    assert "\n".join(lines) in (folder / "card.md").read_text()
    subprocess.run([sys.executable, "-c", "\n".join([*lines, "assert len(outputs)"])], cwd=folder, check=True)


def test_a_format_needs_neither_tensorflow_nor_keras(everything: ExportReport) -> None:
    lines = code(everything.champion, _named(everything, "onnx"))
    alone = "import sys\nsys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'tuner', 'search_spaces']))\n"
    subprocess.run([sys.executable, "-c", alone + "\n".join(lines)], cwd=everything.folder, check=True)


def _named(report: ExportReport, name: str) -> FormatReport:
    return next(each for each in report.champion.formats if each.name == name)


class _InPieces:
    """Decodes few images at once."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.pieces: list[int] = []

    def decode(self, files: Sequence[str], stem: Path) -> int:
        self.pieces.append(write_pixels(files, stem, self.most_bytes))
        return self.pieces[-1]


@pytest.fixture(scope="module")
def held_to(request_to_export: ExportRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FormatProof]:
    """What files are held to that are put into ``built``."""
    folder = tmp_path_factory.mktemp("held")
    built, workspace, log = folder / "built", folder / "workspace", folder / "log"
    built.mkdir()
    workspace.mkdir()
    with model_process(log) as process:
        exporter = Exporter(process)
        written = exporter.write(request_to_export, built, workspace)
        exported = Exported(request_to_export, written, open_prepared(written.data), exporter)
        yield FormatProof(exported, verify(exported, built, workspace, log), exporter, built, workspace, log)


def _onnx_report(held_to: FormatProof, content: bytes, place: Path) -> FormatReport:
    place.mkdir()
    (held_to.built / "model.onnx").write_bytes(content)
    converted = Converted(files=(ConvertedFile(name="onnx", file="model.onnx"),))
    [report] = replace(held_to, workspace=place).reports("onnx", converted)
    return report


def test_images_that_do_not_fit_into_memory_come_in_pieces(
    held_to: FormatProof, everything: ExportReport, tmp_path: Path
) -> None:
    decoder = _InPieces(40_000)
    content = (everything.folder / "model.onnx").read_bytes()
    report = _onnx_report(replace(held_to, decoder=decoder), content, tmp_path / "pieces")
    assert len(decoder.pieces) > 2
    assert sum(decoder.pieces) == everything.verification.examples
    assert report.verified
    assert report.value == pytest.approx(everything.champion.value, abs=1e-6)


def test_a_file_that_is_not_the_model_is_removed(
    held_to: FormatProof, everything: ExportReport, tmp_path: Path
) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(everything.folder / "model.onnx")
    weights = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    changed = numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.1), weights.name)
    weights.CopyFrom(changed)
    report = _onnx_report(held_to, model.SerializeToString(), tmp_path / "changed")
    assert report.file is None and "its outputs differ from the SavedModel's by 0." in (report.refused or "")
    assert report.alternative == "use saved_model, which is proven"
    assert not (held_to.built / "model.onnx").exists()


def test_a_file_that_its_runtime_does_not_load_is_removed(held_to: FormatProof, tmp_path: Path) -> None:
    report = _onnx_report(held_to, b"no model", tmp_path / "damaged")
    assert report.file is None and "its runtime cannot run it: InvalidProtobuf" in (report.refused or "")
    assert not (held_to.built / "model.onnx").exists()


def test_a_runtime_that_dies_costs_its_files_and_not_the_export(
    held_to: FormatProof, everything: ExportReport, tmp_path: Path
) -> None:
    place, name = tmp_path / "dead", "model.onnx"
    place.mkdir()
    shutil.copyfile(everything.folder / name, held_to.built / name)
    shutil.copytree(Path(clean.__file__).parent, place / "onnx-0" / "code" / "champion_proof")
    (place / "onnx-0" / "code" / "champion_proof" / "runtimes.py").write_text("import os\nos.abort()\n")
    converted = Converted(files=(ConvertedFile(name="onnx", file=name),))
    [report] = replace(held_to, workspace=place).reports("onnx", converted)
    assert report.file is None and "the verification ended with signal 6" in (report.refused or "")
    assert not (held_to.built / name).exists()


def test_unknown_formats_and_missing_packages_are_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no format 'onxx': the formats are keras, saved_model, onnx, litert"):
        checked_formats(["keras", "onxx"])
    program = (
        "import sys, json, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'tf2onnx' else find(name, *a)\n"
        "from tuner.champion.formats.offered import require_packages\n"
        "try: require_packages(['onnx'])\n"
        "except Exception as error: print(json.dumps(str(error)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == "onnx needs tf2onnx, not installed here: pip install 'keras-champion[onnx]'"
