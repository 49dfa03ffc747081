"""Nothing that is loaded runs code of its own: files made to attack, through the ways by which they would come in."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import keras
import numpy as np
import pytest

from storage.artifacts import StudyArtifacts
from storage.champions import KeptExport
from tests.prepared_arrays import write_several
from tuner.champion.choosing.averaging import average
from tuner.champion.choosing.scored_trial import Evaluated, evaluate
from tuner.champion.export.export_model import export_model
from tuner.champion.model.study_data import prepared_data
from tuner.champion.model.subject import load_trained
from tuner.champion.prediction.items import items_of
from tuner.champion.prediction.predict import predict
from tuner.champion.records.champion_json import (
    Champion,
    InputTensor,
    TensorInput,
    hash_files,
    read_champion,
    write_record,
)
from tuner.champion.records.ensemble import Limits
from tuner.champion.registry.files import digest_of, fetch_export, keep_export
from tuner.data.cache import prepare
from tuner.data.prepared import input_stem, open_prepared, rows_path, target_stem
from tuner.errors import DataError, ExportError, PredictError, RegistryError
from tuner.spec.reading import validate_spec
from tuner.trial import resume


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists once a payload has run."""
    return tmp_path / "the-payload-ran"


class Payload:
    """Unpickling it makes the marker."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.fspath(self._marker),)


def small_model(*layers: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1, name="last")])
    model.compile("sgd", "mse")
    return model


def lambda_model(marker: Path) -> keras.Model:
    """A Lambda layer whose marshalled code makes the marker."""
    place = os.fspath(marker)
    return small_model(keras.layers.Lambda(lambda x: (__import__("os").makedirs(place, exist_ok=True), x)[1]))


def saved_with(file: Path, last: dict[str, Any], **of_model: Any) -> Path:
    """A real .keras file with another last layer."""
    small_model().save(file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1] = last
    members["config.json"] = json.dumps(config | of_model).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def a_class(module: str, name: str, config: dict[str, Any], registered: str | None = None) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered or name}


def a_function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def with_activation(function: dict[str, Any]) -> dict[str, Any]:
    return a_class("keras.layers", "Dense", {"name": "last", "units": 1, "activation": function})


def test_the_code_of_a_lambda_layer_is_not_run(tmp_path: Path, marker: Path) -> None:
    lambda_model(marker).save(tmp_path / "best.keras")
    shutil.rmtree(marker)
    with pytest.raises(ExportError, match=r"a Lambda layer made from a Python lambda.*write it as a Layer subclass"):
        load_trained("trial 4", tmp_path / "best.keras")
    assert not marker.exists()
    # The file is as dangerous as it is meant to be.
    keras.saving.load_model(tmp_path / "best.keras", safe_mode=False)
    assert marker.exists()


def test_nor_where_the_users_code_has_switched_the_safe_mode_off(tmp_path: Path, marker: Path) -> None:
    lambda_model(marker).save(tmp_path / "best.keras")
    shutil.rmtree(marker)
    program = """
import sys
from pathlib import Path
import keras
from tuner.champion.model.subject import load_trained
keras.config.enable_unsafe_deserialization()
load_trained("trial 4", Path(sys.argv[1]))
"""
    command = [sys.executable, "-c", program, tmp_path / "best.keras"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": PATH})
    assert "a Lambda layer made from a Python lambda" in ran.stderr
    assert not marker.exists()


PATH = os.pathsep.join(entry for entry in sys.path if entry)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (a_class("os", "system", {"command": "mkdir {marker}"}), "the class system of module os is not registered"),
        (a_class("subprocess", "Popen", {"args": ["mkdir", "{marker}"]}), "the class Popen of module subprocess"),
        (a_class("builtins", "eval", {"source": "__import__('os').mkdir('{marker}')"}), "the class eval of module"),
        (
            a_class("keras.layers", "Dense", {"units": 1}, "os>system"),
            "is registered as os>system, but|registered_name",
        ),
        (with_activation(a_function("builtins", "eval")), "the function eval is not registered"),
        (with_activation(a_function("os", "system")), "the function system is not registered"),
        (with_activation(a_function("keras.utils", "get_file")), "not a modeling function"),
        (a_class("keras.src.utils.file_utils", "get_file", {"origin": "file:///x"}), "not a KerasSaveable"),
        (a_class("evil_module", "Layer", {}), "the class Layer of module evil_module is not registered"),
        (a_class("keras.evil_module", "Layer", {}), "cannot be imported"),
        (a_class("keras.layers", "TFSMLayer", {"filepath": "{marker}"}), "TFSMLayer"),
        (a_class("keras.layers", "Lambda", {"function": {"class_name": "__lambda__", "config": {}}}), "Lambda layer"),
        ({"module": 5, "class_name": ["x"], "config": {}}, "cannot be loaded"),
    ],
)
def test_what_a_configuration_names_is_neither_called_nor_imported(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], says: str
) -> None:
    (tmp_path / "evil_module.py").write_text(f"import os\nos.mkdir({os.fspath(marker)!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("evil_module", None)
    hostile = json.loads(json.dumps(last).replace("{marker}", os.fspath(marker)))
    file = saved_with(tmp_path / "best.keras", hostile)
    for compiled in (True, False):
        with pytest.raises(ExportError, match=says) as refused:
            load_trained("trial 4", file, compiled=compiled)
        assert str(refused.value).startswith("the model of trial 4 cannot be loaded: ")
    assert not marker.exists()
    importlib.import_module("evil_module")
    assert marker.exists()


def test_a_hostile_compilation_is_refused_too(tmp_path: Path, marker: Path) -> None:
    dense = a_class("keras.layers", "Dense", {"name": "last", "units": 1})
    loss = a_class("subprocess", "Popen", {"args": ["mkdir", os.fspath(marker)]})
    file = saved_with(tmp_path / "best.keras", dense, compile_config={"optimizer": "sgd", "loss": loss})
    with pytest.raises(ExportError, match="the class Popen of module subprocess is not registered"):
        load_trained("trial 4", file)
    assert not marker.exists()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-50])


def _bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("config.json", "w") as member:
        for _ in range(80):
            member.write(bytes(2**20))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.write_bytes(b""), "is not a whole .keras file"),
        (lambda file: file.write_bytes(b"\x80\x04K\x01."), "is not a whole .keras file .* cut off"),
        (_cut, "is not a whole .keras file .* cut off"),
        (
            _bomb,
            r"is not a .keras file that Keras wrote: its config\.json would expand from [0-9,]+ bytes to 83,886,080",
        ),
    ],
    ids=["empty", "a pickle", "cut off", "a bomb"],
)
def test_what_is_no_keras_file(tmp_path: Path, spoil: Callable[[Path], Any], says: str) -> None:
    file = tmp_path / "best.keras"
    small_model().save(file)
    spoil(file)
    with pytest.raises(ExportError, match=f"the model of trial 4 cannot be loaded: .*best.keras {says}"):
        load_trained("trial 4", file)


def image_model() -> keras.Model:
    layers = [keras.Input((24, 24, 3)), keras.layers.AveragePooling2D(24), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _complement(evaluated: Sequence[Evaluated]) -> None:
    """Gives each of two models outputs that are right where the other one's are not, so that they are averaged."""
    labels = np.eye(3)[np.asarray(evaluated[0].data.split("validation").targets[0])]
    doubtful = 0.4 * labels + 0.6 * np.roll(labels, 1, axis=1)
    for place, each in enumerate(evaluated):
        is_sure = (np.arange(len(labels)) % 2 == place)[:, None]
        each.outputs["validation"] = (np.where(is_sure, labels, doubtful).astype(np.float32),)


@pytest.mark.slow
def test_scoring_averaging_and_exporting_refuse_a_hostile_model(shades: Any, tmp_path: Path, marker: Path) -> None:
    requests = [shades.request(image_model(), 0.5, trial=trial) for trial in range(2)]
    evaluated = [evaluate(request, prepared_data(request)) for request in requests]
    _complement(evaluated)
    for request in requests:
        lambda_model(marker).save(request.checkpoint)
    shutil.rmtree(marker)
    with pytest.raises(ExportError, match=r"the model of trial 0 .*Lambda layer made from a Python lambda"):
        evaluate(requests[0], evaluated[0].data)
    with pytest.raises(ExportError, match=r"the model of trial . .*Lambda layer made from a Python lambda"):
        average(evaluated, Limits(bytes=10**9, latency_ms=1e6), 0, tmp_path / "ensemble.keras")
    with pytest.raises(ExportError, match=r"the model of trial 0 .*Lambda layer made from a Python lambda"):
        export_model(requests[0], tmp_path / "champion", tmp_path / "export.log")
    assert not marker.exists()
    assert not (tmp_path / "champion").exists()


@pytest.mark.slow
def test_modules_in_an_export_are_not_imported_where_it_is_the_current_folder(
    copy_of: Callable[[], Path], shades: Any, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of()
    for name in ("tensorflow", "numpy", "json", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"import os\nos.mkdir({os.fspath(marker)!r})\n")
    champion = read_as_listed(folder)
    write_record(champion.model_copy(update={"files": hash_files(folder)}), folder)
    monkeypatch.chdir(folder)
    (prediction,) = predict(Path("."), [shades.folder / "images" / "dark" / "000 img.png"])
    assert prediction.label
    assert not marker.exists()


def read_as_listed(folder: Path) -> Champion:
    return Champion.model_validate_json((folder / "champion.json").read_text())


def relist(folder: Path, files: dict[str, str]) -> None:
    write_record(read_as_listed(folder).model_copy(update={"files": files}), folder)


@pytest.mark.parametrize("name", ["saved_model/assets/hook.py", ".hidden", "model.keras.bak", "new\nline"])
def test_an_added_file_is_named(bare_export: Path, name: str) -> None:
    (bare_export / name).parent.mkdir(exist_ok=True)
    (bare_export / name).write_text("")
    shown = name.replace("\n", r"\\n")
    with pytest.raises(PredictError, match=f"champion/{shown} is not one of the exported files: remove it, or export"):
        read_champion(bare_export)


@pytest.mark.parametrize("name", ["model.keras", "saved_model/saved_model.pb", "saved_model/variables/variables.index"])
def test_a_changed_or_removed_file_is_named(bare_export: Path, name: str) -> None:
    file = bare_export / name
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    with pytest.raises(PredictError, match=f"{name} is not the file that was exported: export again"):
        predict(bare_export, [])
    file.unlink()
    with pytest.raises(PredictError, match=f"{name} is missing: export again"):
        predict(bare_export, [])


def test_a_record_that_lists_nothing_proves_nothing(bare_export: Path) -> None:
    relist(bare_export, {})
    with pytest.raises(PredictError, match=r"champion\.json does not list model\.keras, which every export has"):
        predict(bare_export, [])
    (bare_export / "saved_model" / "saved_model.pb").unlink()
    relist(bare_export, hash_files(bare_export))
    with pytest.raises(PredictError, match=r"does not list saved_model/saved_model\.pb"):
        predict(bare_export, [])


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "saved_model/../../x", "a\0b", "", "."])
def test_a_record_may_not_list_what_is_outside(bare_export: Path, name: str) -> None:
    (bare_export.parent / "outside").write_text("x")
    relist(bare_export, hash_files(bare_export) | {name: "0" * 64})
    with pytest.raises(PredictError, match="which is outside of the folder: it is not as `tuner export` wrote it"):
        read_champion(bare_export)


def _link_file(folder: Path) -> None:
    (folder / "model.keras").rename(folder.parent / "elsewhere")
    (folder / "model.keras").symlink_to(folder.parent / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "saved_model" / "variables").rename(folder.parent / "elsewhere")
    (folder / "saved_model" / "variables").symlink_to(folder.parent / "elsewhere")


def _dangle(folder: Path) -> None:
    (folder / "saved_model" / "assets").symlink_to(folder / "nothing")


@pytest.mark.parametrize("change", [_link_file, _link_folder, _dangle])
def test_links_are_refused(bare_export: Path, change: Callable[[Path], None]) -> None:
    change(bare_export)
    with pytest.raises(PredictError, match="is a symbolic link, and an export has only files of its own: copy it"):
        read_champion(bare_export)


def test_the_folder_itself_may_be_reached_by_a_link(bare_export: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bare_export)
    assert read_champion(tmp_path / "current").study == "digits"


def test_a_pipe_does_not_make_the_reader_wait(bare_export: Path) -> None:
    os.mkfifo(bare_export / "saved_model" / "pipe")
    with pytest.raises(PredictError, match="pipe is neither a file nor a folder; remove it"):
        read_champion(bare_export)


@pytest.fixture
def artifacts(tmp_path: Path) -> StudyArtifacts:
    return StudyArtifacts.at(tmp_path / "artifacts", "digits", tmp_path / "scratch")


def refetched(artifacts: StudyArtifacts, files: dict[str, str], to: Path) -> str:
    with pytest.raises((RegistryError, PredictError)) as refused:
        fetch_export(artifacts, KeptExport(digest_of(files), 1, files), "champion digits@1", to)
    assert not to.exists()
    return str(refused.value)


def test_an_export_in_a_bucket_comes_back_as_it_was_or_not_at_all(
    s3_bucket: str, bare_export: Path, tmp_path: Path
) -> None:
    bucket = StudyArtifacts.at(f"s3://{s3_bucket}/some/prefix", "digits", tmp_path / "scratch")
    kept = keep_export(bucket, bare_export, read_champion(bare_export).files)
    fetched = tmp_path / "fetched"
    assert fetch_export(bucket, kept, "champion digits@1", fetched).files == read_champion(bare_export).files
    assert {name: (fetched / name).read_bytes() for name in kept.files} == {
        name: (bare_export / name).read_bytes() for name in kept.files
    }
    # Objects in a bucket are changed as easily as files.
    key = f"some/prefix/digits/champions/blobs/{kept.files['model.keras']}"
    boto3.client("s3").put_object(Bucket=s3_bucket, Key=key, Body=b"another")
    said = refetched(bucket, dict(kept.files), tmp_path / "damaged")
    assert f"its model.keras is not the file that was registered, s3://{s3_bucket}/{key}; export again" in said
    boto3.client("s3").delete_object(Bucket=s3_bucket, Key=key)
    assert "its model.keras is missing" in refetched(bucket, dict(kept.files), tmp_path / "missing")
    # Keeping it again mends it.
    keep_export(bucket, bare_export, read_champion(bare_export).files)
    fetch_export(bucket, kept, "champion digits@1", fetched)


def test_an_export_in_the_registry_is_refused_for_the_same_reasons(
    artifacts: StudyArtifacts, bare_export: Path, tmp_path: Path
) -> None:
    kept = keep_export(artifacts, bare_export, read_champion(bare_export).files)
    files, to = dict(kept.files), tmp_path / "fetched"
    (tmp_path / "hook.py").write_text("x")
    added = artifacts.put_blob(tmp_path / "hook.py").sha256 or ""
    assert "its file '../hook.py' would be outside" in refetched(artifacts, files | {"../hook.py": added}, to)
    assert "hook.py is not one of the exported files" in refetched(artifacts, files | {"hook.py": added}, to)
    assert "model.keras is not the file that was exported" in refetched(artifacts, files | {"model.keras": added}, to)
    fewer = {name: sha256 for name, sha256 in files.items() if name != "model.keras"}
    assert "model.keras is missing" in refetched(artifacts, fewer, to)
    with pytest.raises(RegistryError, match="are not those of its digest"):
        fetch_export(artifacts, KeptExport(kept.digest, 1, fewer), "champion digits@1", to)
    assert fetch_export(artifacts, kept, "champion digits@1", to).study == "digits"


def pickled(file: Path, marker: Path, key: str = "x") -> Path:
    """A .npz file with an array of objects that unpickling turns into the marker."""
    labels = np.arange(20) % 2
    np.savez(file, allow_pickle=True, **{key: np.array([Payload(marker)] * 20, dtype=object), "y": labels})
    return file


def test_the_pickles_are_as_dangerous_as_they_are_meant_to_be(tmp_path: Path, marker: Path) -> None:
    with np.load(pickled(tmp_path / "data.npz", marker), allow_pickle=True) as arrays:
        assert len(arrays["x"]) == 20
    assert marker.exists()


def test_data_is_never_unpickled(tmp_path: Path, marker: Path) -> None:
    raw = {
        "study": "s",
        "data": {"kind": "npz", "path": pickled(tmp_path / "data.npz", marker)},
        "space": "spaces:build",
        "objective": "val_loss",
    }
    spec = validate_spec(raw, source="test", base=tmp_path)
    with pytest.raises(DataError, match=r"data\.npz: the array 'x' holds pickled Python objects.*save it as numbers"):
        prepare(spec.data, tmp_path / "cache")
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pkl as .npy"])
def test_what_is_to_be_predicted_is_never_unpickled(tmp_path: Path, marker: Path, suffix: str) -> None:
    file = tmp_path / f"given{suffix[-4:]}"
    if suffix == ".npz":
        pickled(file, marker)
    elif suffix == ".npy":
        np.save(file, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    else:
        np.array([Payload(marker)], dtype=object).dump(file)
    tensor = InputTensor(tensor="x", name="x", kind="array", dtype="float32", shape=(2,))
    takes = TensorInput(kind="arrays", structure="single", tensors=(tensor,), signatures={})
    (item,) = items_of(0, file, takes)
    assert item.error is not None
    whole = "is not a NumPy file that can be used: it is neither .npy nor .npz, and pickles are not read because they"
    array = "holds pickled Python objects, which are not read because they could run any code: save it as numbers"
    assert item.error.startswith(whole if suffix == ".pkl as .npy" else array)
    assert not marker.exists()


def test_a_cut_off_file_to_predict_is_one_bad_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "given.npz", x=np.zeros((4, 2)))
    _cut(tmp_path / "given.npz")
    tensor = InputTensor(tensor="x", name="x", kind="array", dtype="float32", shape=(2,))
    takes = TensorInput(kind="arrays", structure="single", tensors=(tensor,), signatures={})
    (item,) = items_of(0, tmp_path / "given.npz", takes)
    assert item.error is not None and item.error.startswith("is not a NumPy file that can be used")


@pytest.mark.parametrize("which", ["input", "target", "rows"])
def test_prepared_data_is_never_unpickled(tmp_path: Path, marker: Path, which: str) -> None:
    folder = write_several(tmp_path / "prepared", "dict")
    file = {
        "input": folder / f"{input_stem('train', 0)}.npy",
        "target": folder / f"{target_stem('train', 1)}.npy",
        "rows": rows_path(folder, "train"),
    }[which]
    np.save(file, np.array([Payload(marker)] * 24, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"the prepared data in .* is damaged"):
        open_prepared(folder)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["header", "variable", "whole file"])
def test_a_resume_checkpoint_is_never_unpickled(
    artifacts: StudyArtifacts, tmp_path: Path, marker: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    header = np.frombuffer(b'{"progress": {"history": [], "ended": [], "starts": [0]}, "optimizers": []}', np.uint8)
    hostile = np.array([Payload(marker)], dtype=object)

    def write(file: Path) -> None:
        if kind == "whole file":
            hostile.dump(file)
        else:
            arrays = {"header": header, "v0": np.zeros(3)} | {"header" if kind == "header" else "v0": hostile}
            np.savez(file, allow_pickle=True, **arrays)

    key = artifacts.put_resume(0, 1, 4, write).artifact.key
    assert resume.read_first(artifacts, [key]) is None
    assert not marker.exists()
    said = capsys.readouterr().out
    assert "resume checkpoint cannot be read" in said and "training starts again" in said


def test_no_module_asks_for_what_would_run_code() -> None:
    unsafe = ("safe_mode=False", "enable_unsafe_deserialization()\n", "allow_pickle=True", "weights_only=False")
    packages = [Path(str(importlib.import_module(name).__file__)).parent for name in ("tuner", "storage")]
    sources = {path: path.read_text() for package in packages for path in package.rglob("*.py")}
    assert len(sources) > 100
    assert [path for path, text in sources.items() if any(each in text for each in unsafe)] == []
