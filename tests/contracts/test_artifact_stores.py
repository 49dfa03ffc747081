"""What every store of artifacts must do: a folder, and a bucket on a real server that speaks S3's protocol."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage.artifact_store import ArtifactStore
from storage.bucket_store import BucketStore
from storage.errors import ArtifactsUnavailable, MissingArtifact
from storage.folder_store import FolderStore

NOTHING = hashlib.sha256(b"").hexdigest()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "artifacts")
        return
    bucket = request.getfixturevalue("s3_bucket")
    yield BucketStore(f"s3://{bucket}/some/{uuid4().hex}/", "digits")


def write(data: bytes):
    return lambda file: file.write_bytes(data)


def read(store: ArtifactStore, key: str) -> bytes:
    with store.fetched(key) as file:
        return file.read_bytes()


def test_what_is_put_is_fetched(store):
    data = bytes(range(256)) * 40_000
    artifact = store.put("trials/00001/best.keras", write(data))
    assert (artifact.key, artifact.size) == ("trials/00001/best.keras", len(data))
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert read(store, artifact.key) == data


def test_putting_again_replaces(store):
    for data in (b"first", b"", b"third"):
        store.put("file", write(data))
        assert read(store, "file") == data
    assert store.keys("") == ["file"]


def test_the_key_can_say_what_the_file_is(store):
    artifact = store.put("epoch-1.{size}.{sha256}.npz", write(b""))
    assert artifact.key == f"epoch-1.0.{NOTHING}.npz"
    assert store.keys("") == [artifact.key]


def test_the_file_to_write_ends_like_the_key(store):
    suffixes = []

    def note(file: Path) -> None:
        suffixes.append(file.suffix)
        file.write_bytes(b"")

    store.put("a.b/best.keras", note)
    assert suffixes == [".keras"]


def test_what_is_not_there_is_missing(store):
    store.put("trials/1", write(b"here"))
    for key in ("trials/2", "trials", "trials/1/x"):
        with pytest.raises(MissingArtifact) as caught, store.fetched(key):
            pass
        assert caught.value.key == key


def test_removing_is_repeatable(store):
    store.put("a/b", write(b""))
    store.remove("a/b")
    store.remove("a/b")
    store.remove("never/there")
    assert store.keys("") == []


def test_keys_are_those_below_a_prefix(store):
    for key in ("trials/00001/a", "trials/00001/run-001/b", "trials/00010/c", "splits.json"):
        store.put(key, write(b""))
    assert sorted(store.keys("trials/00001/")) == ["trials/00001/a", "trials/00001/run-001/b"]
    assert store.keys("trials/00002/") == []
    assert len(store.keys("")) == 4


def test_a_write_that_fails_leaves_what_was_there(store):
    def fail(file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    store.put("file", write(b"whole"))
    for key in ("file", "other"):
        with pytest.raises(ArtifactsUnavailable, match="No space"):
            store.put(key, fail)
    assert store.keys("") == ["file"]
    assert read(store, "file") == b"whole"


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/home/me/vocabulary.txt"),
        ConnectionRefusedError(111, "Connection refused"),
        OSError("a layer's own words"),
        ValueError("a mistake"),
    ],
)
def test_what_a_writer_does_wrong_is_not_the_stores(store, error):
    def fail(file: Path) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        store.put("file", fail)
    assert caught.value is error


def test_a_folder_that_is_away_is_unavailable_and_not_empty(tmp_path):
    store = FolderStore(tmp_path / "disk/artifacts")
    (tmp_path / "disk").write_text("where a disk was")
    for work in (lambda: store.keys("trials/"), lambda: store.put("trials/1", write(b""))):
        with pytest.raises(ArtifactsUnavailable, match=r"artifacts: Not a directory"):
            work()


def test_a_reader_sees_one_whole_file_while_another_replaces_it(store):
    versions = [bytes([n]) * 300_000 for n in range(6)]
    store.put("file", write(versions[0]))
    done = threading.Event()

    def replace() -> None:
        for data in versions:
            store.put("file", write(data))
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not done.is_set():
        assert read(store, "file") in versions
    writer.join()
    assert read(store, "file") == versions[-1]


def test_a_fetched_file_leaves_nothing_behind(store, tmp_path, monkeypatch):
    store.put("file", write(b"data"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert read(store, "file") == b"data"
    with pytest.raises(MissingArtifact):
        read(store, "other")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_server_that_is_away_is_unavailable_and_not_empty(s3_bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = BucketStore(f"s3://{s3_bucket}", "digits")
    for work in (lambda: away.keys(""), lambda: away.put("key", write(b"")), lambda: read(away, "key")):
        with pytest.raises(ArtifactsUnavailable, match=rf"s3://{s3_bucket}/digits.*127\.0\.0\.1:9"):
            work()


def test_a_bucket_that_does_not_exist_is_named(s3_bucket):
    nowhere = BucketStore("s3://no-such-bucket", "digits")
    with pytest.raises(ArtifactsUnavailable, match="NoSuchBucket"):
        nowhere.put("key", write(b""))
