import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tuner.data import class_folders
from tuner.data.class_folders import IMAGES
from tuner.errors import DataError


def scan(data):
    return class_folders.scan(data, IMAGES)


def paths(found, source="train"):
    return [file.path for file in found.sources[source]]


def test_files_come_in_the_order_of_their_bytes_with_labels(make_folder, spec):
    folder = make_folder(classes=("b", "B", "a"), count=2)
    found = scan(spec(folder))
    assert found.class_names == ("B", "a", "b")
    assert paths(found) == [
        "B/000.png",
        "B/001.png",
        "a/000.png",
        "a/001.png",
        "b/000.png",
        "b/001.png",
    ]
    assert [file.label for file in found.sources["train"]] == [0, 0, 1, 1, 2, 2]
    assert found.sources["train"][0].absolute == str(folder / "B/000.png")


def test_strange_names_nested_folders_and_hidden_entries(make_folder, spec):
    folder = make_folder(count=1)
    names = [
        "with space.png",
        "ünïcode 猫.PNG",
        "new\nline.jpeg",
        os.fsdecode(b"bytes\xff\xfe.png"),
    ]
    for name in names:
        shutil.copy(folder / "cat/000.png", folder / "cat" / name)
    (folder / "cat/deep/er").mkdir(parents=True)
    shutil.copy(folder / "cat/000.png", folder / "cat/deep/er/x.gif")
    (folder / "cat/.hidden.png").write_bytes(b"")
    (folder / ".git/objects").mkdir(parents=True)
    (folder / "cat/.thumbnails").mkdir()
    (folder / "cat/.thumbnails/t.png").write_bytes(b"")
    (folder / "README.txt").write_text("ignored")
    expected = [
        "cat/000.png",
        "cat/deep/er/x.gif",
        *(f"cat/{name}" for name in names),
        "dog/000.png",
    ]
    assert paths(scan(spec(folder))) == sorted(expected, key=os.fsencode)


def test_links_are_followed_once(make_folder, spec, tmp_path):
    folder = make_folder(count=1)
    elsewhere = make_folder("elsewhere", count=1)
    (folder / "cat/linked").symlink_to(elsewhere / "dog")
    (folder / "cat/again").symlink_to(folder / "cat/linked")
    (folder / "cat/loop").symlink_to(folder)
    (folder / "cat/self").symlink_to(folder / "cat")
    (folder / "cat/file.png").symlink_to(elsewhere / "cat/000.png")
    (folder / "owl").symlink_to(elsewhere / "cat")
    found = scan(spec(folder))
    assert paths(found) == [
        "cat/000.png", "cat/again/000.png", "cat/file.png", "dog/000.png", "owl/000.png",
    ]  # fmt: skip


def test_missing_folder(spec, tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        scan(spec(tmp_path / "nowhere"))


def test_a_file_where_the_folder_should_be(spec, tmp_path):
    (tmp_path / "images").write_text("x")
    with pytest.raises(DataError, match="images is a file, not a folder"):
        scan(spec(tmp_path / "images"))


def test_empty_folder(spec, tmp_path):
    with pytest.raises(DataError, match=r"is empty: it needs one folder of images per class"):
        scan(spec(tmp_path))


def test_one_class_only(make_folder, spec):
    with pytest.raises(DataError, match=r"only one class \('cat'\)"):
        scan(spec(make_folder(classes=("cat",))))


def test_an_empty_class_folder_is_named(make_folder, spec):
    folder = make_folder()
    (folder / "owl/inner").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images/owl is empty"):
        scan(spec(folder))


def test_an_image_beside_the_class_folders_is_named(make_folder, spec):
    folder = make_folder()
    shutil.copy(folder / "cat/000.png", folder / "stray\n.png")
    with pytest.raises(DataError, match=r"stray\\n\.png lies beside the class folders"):
        scan(spec(folder))


def test_unsupported_types_fail_with_the_first_ten_or_are_skipped(make_folder, spec):
    folder = make_folder()
    for i in range(12):
        (folder / f"dog/{i:02}.webp").write_bytes(b"x")
    (folder / "cat/notes").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        scan(spec(folder))
    message = str(caught.value)
    assert "13 files" in message
    assert "cat/notes (no file type; supported are bmp, gif, jpeg, jpg, png)" in message
    assert "dog/08.webp (.webp;" in message
    assert "09.webp" not in message
    assert "and 3 more" in message
    assert caught.value.files == ("cat/notes", *(f"dog/{i:02}.webp" for i in range(9)))
    skipped = scan(spec(folder, on_error="skip"))
    assert len(skipped.rejected) == 13
    assert len(paths(skipped)) == 12


def test_a_pipe_is_not_opened(make_folder, spec):
    folder = make_folder()
    os.mkfifo(folder / "cat/pipe.png")
    with pytest.raises(DataError, match=r"cat/pipe\.png \(is not a regular file\)"):
        scan(spec(folder))


def test_separate_folders_must_hold_the_same_classes(make_folder, spec):
    train, test = make_folder("train"), make_folder("test", classes=("cat", "owl"))
    with pytest.raises(DataError, match=r"test must hold .*train: it lacks 'dog' and has the unknown 'owl'"):
        scan(spec(train=train, test=test))
    other = scan(spec(train=train, validation=make_folder("validation", count=2)))
    assert list(other.sources) == ["train", "validation"]
    assert other.sources["validation"][0].shown == "validation/cat/000.png"


def test_a_class_name_must_be_text(make_folder, spec):
    folder = make_folder()
    os.rename(folder / "dog", os.fsencode(folder) + b"/d\xffg")
    with pytest.raises(DataError, match=r"class folder d\\udcffg .* not UTF-8"):
        scan(spec(folder))


def test_an_unreadable_class_folder_is_named(make_folder, spec):
    # Outside pytest's temporary folders, which another user may not even enter.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(make_folder(), Path(place, "images")))
        for path in (Path(place), folder, folder / "cat"):
            path.chmod(0o755)
        (folder / "dog").chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match=r"images/dog cannot be read: Permission denied"):
                scan(spec(folder))
        finally:
            os.seteuid(user)
            (folder / "dog").chmod(0o755)
