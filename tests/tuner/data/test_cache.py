import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from tuner.data.cache import open_or_mend, open_prepared, prepare
from tuner.data.cache_contents import _is_used
from tuner.data.hashes import check_hashes, write_hashes
from tuner.data.summary import summary_of
from tuner.errors import DataError
from tuner.study.locations import default_cache_root

CIFAR = Path(__file__).resolve().parents[4] / "shared/data/cifar10/images"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def calls():
    """A progress callback that remembers its calls: none means that nothing was decoded."""

    class Calls(list):
        def __call__(self, done, total):
            self.append((done, total))

    return Calls()


def contents_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_arrays_hold_the_pixels_of_the_files(make_folder, spec, cache, calls):
    folder = make_folder(count=10)
    prepared = prepare(spec(folder, test_split=0.2), cache, calls)
    assert calls[-1] == (20, 20)
    assert {name: len(split) for name, split in prepared.splits.items()} == {
        "train": 12, "validation": 4, "test": 4,
    }  # fmt: skip
    for name, split in prepared.splits.items():
        for file, label, image in zip(split.origin.files, split.targets[0], split.inputs[0].values, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(folder / file)))
            assert file.startswith(prepared.class_names[label])
        assert not split.inputs[0].values.flags.writeable
        assert prepared.class_counts(name) == (len(split) // 2,) * 2
    files = [file for split in prepared.splits.values() for file in split.origin.files]
    assert len(set(files)) == 20


def test_what_is_said_about_the_data(make_folder, spec, cache):
    folder = make_folder(count=10)
    prepared = prepare(spec(folder, image_size=(4, 6), color_mode="grayscale"), cache)
    summary = summary_of(prepared)
    assert summary.input_shape == (4, 6, 1)
    assert summary.examples == {"train": 16, "validation": 4}
    assert summary.class_counts == (8, 8)
    assert (summary.kind, summary.task) == ("image_directory", "classification")
    description = json.loads(json.dumps(prepared.describe()))
    assert description["splits"]["validation"] == {
        "examples": 4,
        "class_counts": {"cat": 2, "dog": 2},
    }
    assert description["fingerprint"] == prepared.fingerprint
    assert (description["skipped"], description["skipped_files"]) == (0, [])
    records = prepared.split_records("validation")
    assert [record["label"] for record in records] == ["cat", "cat", "dog", "dog"]
    assert all(Path(record["file"]).is_file() for record in records)
    with pytest.raises(DataError, match=r"no split 'test'; there are train, validation"):
        prepared.split_records("test")


def test_a_second_call_decodes_nothing(make_folder, spec, cache, calls):
    data = spec(make_folder())
    first = prepare(data, cache)
    second = prepare(data, cache, calls)
    assert calls == []
    assert second.fingerprint == first.fingerprint
    assert second.splits["train"].origin.files == first.splits["train"].origin.files
    assert np.array_equal(second.splits["train"].inputs[0].values, first.splits["train"].inputs[0].values)


def test_the_fingerprint_follows_names_contents_and_settings(make_folder, spec, cache, tmp_path):
    folder = make_folder()
    data = spec(folder)
    seen = {prepare(data, cache).fingerprint}
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    assert prepare(spec(moved), cache).fingerprint in seen
    for changed in (
        spec(folder, seed=1),
        spec(folder, image_size=(4, 4)),
        spec(folder, color_mode="grayscale"),
        spec(folder, validation_split=0.4),
        spec(folder, on_error="skip"),
    ):
        seen.add(prepare(changed, cache).fingerprint)
    (folder / "cat/000.png").rename(folder / "cat/zzz.png")
    seen.add(prepare(data, cache).fingerprint)
    shutil.copy(folder / "dog/000.png", folder / "dog/001.png")
    seen.add(prepare(data, cache).fingerprint)
    assert len(seen) == 8


def test_data_that_moved_is_recorded_where_it_is_now(make_folder, spec, cache, calls, tmp_path):
    folder = make_folder()
    built = prepare(spec(folder), cache)
    moved = tmp_path / "moved"
    folder.rename(moved)
    prepared = prepare(spec(moved), cache, calls)
    assert calls == []
    assert prepared.splits["train"].origin.root == str(moved)
    assert open_prepared(built.folder).splits["train"].origin.root == str(moved)


def test_separate_folders(make_folder, spec, cache):
    train, validation = make_folder("train", count=10), make_folder("validation", count=3, seed=1)
    prepared = prepare(spec(train=train, validation=validation, test_split=0.2), cache)
    assert {name: len(split) for name, split in prepared.splits.items()} == {
        "train": 16, "test": 4, "validation": 6,
    }  # fmt: skip
    assert prepared.splits["validation"].origin.root == str(validation)
    assert prepared.splits["test"].origin.root == str(train)
    assert prepared.split_records("validation")[0]["file"] == str(validation / "cat/000.png")


def test_strange_file_names_survive_the_cache(make_folder, spec, cache):
    folder = make_folder()
    names = ["a b.png", "猫.png", "new\nline.png", os.fsdecode(b"\xff\xfe.png")]
    for name in names:
        shutil.copy(folder / "cat/000.png", folder / "cat" / name)
    prepare(spec(folder), cache)
    prepared = prepare(spec(folder), cache)
    files = {file for split in prepared.splits.values() for file in split.origin.files}
    assert {f"cat/{name}" for name in names} <= files
    records = json.loads(json.dumps(prepared.split_records("train")))
    assert all(os.path.isfile(record["file"]) for record in records)


def test_bad_files_fail_with_the_first_ten_and_leave_nothing(make_folder, spec, cache):
    folder = make_folder(count=12)
    for i in range(9):
        (folder / f"cat/{i:03}.png").write_bytes(b"")
    (folder / "dog/000.png").write_bytes(b"this is no image, whatever its name says")
    (folder / "dog/001.png").unlink()
    (folder / "dog/001.png").symlink_to(folder / "gone")
    with pytest.raises(DataError) as caught:
        prepare(spec(folder), cache)
    message = str(caught.value)
    assert "11 files" in message
    assert "cat/000.png (is empty, 0 bytes)" in message
    assert "dog/000.png (Unknown image file format" in message
    assert "and 1 more" in message
    assert "\n" not in message
    assert len(caught.value.files) == 10
    assert [name for name in contents_of(cache) if not name.endswith(".lock")] == []


def test_bad_files_are_skipped_and_counted(make_folder, spec, cache, calls):
    folder = make_folder(count=10)
    (folder / "cat/000.png").write_bytes(b"")
    (folder / "dog/\n.png").write_bytes((folder / "dog/000.png").read_bytes()[:50])
    (folder / "dog/gone.png").symlink_to(folder / "nowhere")
    (folder / "dog/notes.txt").write_text("x")
    data = spec(folder, on_error="skip")
    prepared = prepare(data, cache, calls)
    assert prepared.skipped == ("dog/notes.txt", "cat/000.png", "dog/\n.png", "dog/gone.png")
    assert calls[-1] == (19, 19)
    assert sum(len(split) for split in prepared.splits.values()) == 19
    description = prepared.describe()
    assert description["skipped"] == 4
    assert description["skipped_files"][2]["file"] == "dog/\\n.png"
    assert "No such file" in description["skipped_files"][3]["reason"]
    for split in prepared.splits.values():
        for file, image in zip(split.origin.files, split.inputs[0].values, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(folder / file)))
    assert prepare(data, cache).skipped == prepared.skipped
    (folder / "dog/notes.txt").rename(folder / "cat/other.txt")
    calls.clear()
    again = prepare(data, cache, calls)
    assert calls == []
    assert again.fingerprint == prepared.fingerprint
    assert open_prepared(again.folder).skipped == ("cat/other.txt", *prepared.skipped[1:])


@pytest.mark.parametrize("left", [0, 1])
def test_a_class_that_skipping_leaves_too_small_is_an_error(make_folder, spec, cache, left):
    folder = make_folder(count=3)
    for i in range(left, 3):
        (folder / f"dog/{i:03}.png").write_bytes(b"")
    with pytest.raises(DataError, match=rf"class 'dog' has {left} usable example"):
        prepare(spec(folder, on_error="skip"), cache)


def test_a_class_with_fewer_images_than_splits(make_folder, spec, cache):
    folder = make_folder(count=2)
    with pytest.raises(DataError, match=r"'cat' has 2 usable examples and needs at least 3"):
        prepare(spec(folder, test_split=0.2), cache)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def swap_classes(file):
    meta = json.loads(file.read_text())
    meta["targets"][0]["class_names"].reverse()
    file.write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "meta.json").write_text('{"fingerprint": '),
        lambda folder: (folder / "train-y0.npy").unlink(),
        lambda folder: os.truncate(folder / "train-x0.npy", 200),
        lambda folder: os.truncate(folder / "validation-x0.npy", 3),
        lambda folder: os.truncate(folder / "train-y0.npy", 0),
        lambda folder: flip_a_bit(folder / "train-x0.npy"),
        lambda folder: flip_a_bit(folder / "validation-y0.npy"),
        lambda folder: flip_a_bit(folder / "hashes.json"),
        lambda folder: (folder / "hashes.json").unlink(),
        lambda folder: swap_classes(folder / "meta.json"),
    ],
)
def test_a_torn_cache_is_refused_and_rebuilt(make_folder, spec, cache, calls, damage):
    data = spec(make_folder())
    built = prepare(data, cache)
    before = np.array(built.splits["train"].inputs[0].values)
    damage(built.folder)
    with pytest.raises(DataError, match=r"no prepared data|damaged"):
        open_prepared(built.folder)
    rebuilt = prepare(data, cache, calls)
    assert calls[-1] == (12, 12)
    assert np.array_equal(rebuilt.splits["train"].inputs[0].values, before)
    assert contents_of(cache) == sorted([built.folder.name, f"{built.folder.name}.lock"])


def test_a_cache_that_is_damaged_between_two_trials_is_mended_for_the_next(make_folder, spec, cache, caplog):
    data = spec(make_folder())
    built = prepare(data, cache)
    before = np.array(built.splits["train"].targets[0])
    flip_a_bit(built.folder / "train-y0.npy")
    mended = open_or_mend(built.folder, data)
    assert np.array_equal(mended.splits["train"].targets[0], before)
    assert "train-y0.npy is not what was written, from byte 0 on; it is prepared again" in caplog.text
    flip_a_bit(built.folder / "train-y0.npy")
    changed = next(Path(data.path).glob("*/*"))
    changed.unlink()
    with pytest.raises(DataError, match="and its source has changed since"):
        open_or_mend(built.folder, data)


def test_of_large_data_a_sample_is_looked_at_when_a_trial_begins(tmp_path):
    np.save(tmp_path / "train-x0.npy", np.zeros(200 * 2**20, np.uint8))
    digest = write_hashes(tmp_path)
    check_hashes(tmp_path, digest, whole=False)
    with open(tmp_path / "train-x0.npy", "r+b") as file:
        file.seek(77 * 2**20)
        file.write(bytes([1]))
    with pytest.raises(ValueError, match=f"train-x0.npy is not what was written, from byte {77 * 2**20} on"):
        check_hashes(tmp_path, digest, whole=True)


def test_what_a_killed_build_left_is_removed(make_folder, spec, cache):
    data = spec(make_folder())
    folder = prepare(data, cache).folder
    left = cache / f".{folder.name}.{uuid4().hex}"
    folder.rename(left)
    prepare(data, cache)
    assert not left.exists()


def test_scratch_of_dead_processes_is_removed(make_folder, spec, cache):
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead = cache / f".scratch-{os.uname().nodename}-{ended.pid}-0123"
    alive = cache / f".scratch-{os.uname().nodename}-{os.getpid()}-0123"
    elsewhere = cache / f".scratch-another-machine-{ended.pid}-0123"
    for folder in (dead, alive, elsewhere):
        folder.mkdir(parents=True)
        (folder / "train-0.npy").write_bytes(b"x")
    prepare(spec(make_folder()), cache)
    assert [folder.exists() for folder in (dead, alive, elsewhere)] == [False, True, True]


def test_two_processes_at_once_build_it_once(make_folder, spec, cache):
    data = spec(make_folder(count=100))
    code = (
        "import sys; from pathlib import Path; from tuner.spec.data import ImageDirectory\n"
        "from tuner.data.cache import prepare\n"
        "import tuner.data.build\n"
        "data = ImageDirectory.model_validate_json(sys.argv[1])\n"
        "print('ready', flush=True); sys.stdin.readline(); decoded = []\n"
        "prepared = prepare(data, Path(sys.argv[2]), lambda done, total: decoded.append(done))\n"
        "print(bool(decoded), prepared.fingerprint)\n"
    )
    arguments = [sys.executable, "-c", code, data.model_dump_json(), str(cache)]
    started = [
        subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].split() for process in started]
    assert sorted(decoded for decoded, _ in outputs) == ["False", "True"]
    assert outputs[0][1] == outputs[1][1]


def test_a_full_disk_is_a_clear_error_and_leaves_no_half_cache(make_folder, spec, cache):
    data = spec(make_folder(), image_size=(256, 256))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system refuses to let a file grow past this, as a full disk would.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DataError, match=r"cache in .*cannot be written: .*TUNER_CACHE"):
            prepare(data, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [name for name in contents_of(cache) if not name.endswith(".lock")] == []
    assert len(prepare(data, cache).splits) == 2


def test_a_cache_folder_that_cannot_be_made(make_folder, spec, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be written: Not a directory"):
        prepare(spec(make_folder()), tmp_path / "file/cache")


def test_the_default_place_of_the_cache(monkeypatch):
    monkeypatch.delenv("TUNER_CACHE", raising=False)
    assert default_cache_root() == Path.home() / ".cache/keras-champion"
    monkeypatch.setenv("TUNER_CACHE", "~/elsewhere")
    assert default_cache_root() == Path.home() / "elsewhere"


def test_prepared_data_is_opened_without_tensorflow_and_keras(make_folder, spec, cache):
    prepared = prepare(spec(make_folder()), cache)
    code = (
        "import sys; from pathlib import Path; from tuner.data.cache import open_prepared\n"
        "data = open_prepared(Path(sys.argv[1])); data.describe(); data.split_records('train')\n"
        "print(len(data.splits['train']), {'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    arguments = [sys.executable, "-c", code, str(prepared.folder)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert result.stdout.split(maxsplit=1) == ["10", "set()\n"]


@pytest.mark.skipif(not CIFAR.is_dir(), reason="the CIFAR-10 images are not beside the project")
def test_real_images(spec, cache):
    data = spec(CIFAR, image_size=(32, 32), test_split=0.1)
    prepared = prepare(data, cache)
    assert {name: prepared.class_counts(name) for name in prepared.splits} == {
        "train": (210,) * 10, "validation": (60,) * 10, "test": (30,) * 10,
    }  # fmt: skip
    split = prepared.splits["validation"]
    for row in range(0, len(split), 60):
        expected = np.asarray(Image.open(CIFAR / split.origin.files[row]))
        assert np.abs(split.inputs[0].values[row].astype(int) - expected).mean() < 3


def test_data_that_nobody_uses_makes_room_on_a_full_disk_before_other_data_is_written(
    make_folder, spec, cache, monkeypatch
):
    old = cache / f"images-{'0123456789abcdef' * 2}-layout-7"
    old.mkdir(parents=True)
    (old / "train-x0.bin").write_bytes(bytes(1 << 20))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if old.exists() else 1 << 30))
    prepared = prepare(spec(make_folder()), cache)
    assert not old.exists()
    held = prepared.folder.with_name("copy")
    shutil.copytree(prepared.folder, held)
    # Whoever launches looks at it for a moment.
    open_prepared(held, hold=False)
    assert not _is_used(held)
    open_prepared(held)
    assert _is_used(held)
