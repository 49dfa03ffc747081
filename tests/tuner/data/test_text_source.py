import pytest

from tuner.data.batches import BatchFormat, evaluation_batches
from tuner.data.cache import prepare
from tuner.data.summary import summary_of
from tuner.errors import DataError
from tuner.spec.data import TextDirectory


@pytest.fixture
def folder(tmp_path):
    """Ten texts in each of two classes."""
    for name in ("ham", "spam"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for i in range(10):
            (tmp_path / "texts" / name / f"{i}.txt").write_text(f"{name} " * (i + 1), encoding="utf-8")
    return tmp_path / "texts"


def prepared_of(folder, **keys):
    return prepare(TextDirectory(kind="text_directory", path=folder, **keys), folder.parent / "cache")


def test_texts_are_the_content_of_their_files(folder):
    (folder / "ham/0.txt").write_bytes("\ufeffgrüße\r\n".encode())
    prepared = prepared_of(folder, test_split=0.2)
    assert {name: prepared.class_counts(name) for name in prepared.splits} == {
        "train": (6, 6), "validation": (2, 2), "test": (2, 2),
    }  # fmt: skip
    read = {}
    for name, split in prepared.splits.items():
        texts, labels = next(iter(evaluation_batches(prepared, 99, BatchFormat(), name)))
        for file, text, label in zip(split.origin.files, texts.numpy(), labels.numpy(), strict=True):
            assert file.startswith(prepared.class_names[label])
            read[file] = text.decode()
    assert len(read) == 20
    assert (read["ham/0.txt"], read["spam/2.txt"]) == ("grüße\r\n", "spam " * 3)
    statistics = summary_of(prepared).inputs[0].statistics
    assert statistics.words[-1] <= 10
    assert prepared.split_records("test")[0]["label"] == "ham"


@pytest.mark.parametrize(
    "content, reason", [(b"abc\xffdef", "is not UTF-8 text: invalid start byte at byte 3"), (b" \n", "is empty")]
)
def test_texts_that_cannot_be_used(folder, content, reason):
    (folder / "spam/5.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"1 file under .*: spam/5.txt \({reason}\). Repair or remove"):
        prepared_of(folder)
    prepared = prepared_of(folder, on_error="skip")
    assert prepared.skipped == ("spam/5.txt",)
    assert sum(len(split) for split in prepared.splits.values()) == 19


def test_files_of_other_kinds(folder):
    (folder / "ham/picture.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"ham/picture.png \(.png; supported are txt\)"):
        prepared_of(folder)
    (folder / "README.txt").write_text("x")
    with pytest.raises(DataError, match=r"README.txt lies beside the class folders"):
        prepared_of(folder, on_error="skip")


def test_the_identity_is_that_of_the_contents(folder, tmp_path):
    first = prepared_of(folder)
    folder.rename(tmp_path / "elsewhere")
    moved = prepared_of(tmp_path / "elsewhere")
    assert (moved.folder, moved.fingerprint) == (first.folder, first.fingerprint)
    assert moved.split("train").origin.root == str(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/ham/1.txt").write_text("another")
    assert prepared_of(tmp_path / "elsewhere").fingerprint != first.fingerprint
