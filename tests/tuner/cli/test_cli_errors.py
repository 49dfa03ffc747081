"""What a user can get wrong: one clear line each, exit code 1, no traceback, nothing made. Usage errors exit 2."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from storage.schema import REVISIONS
from tests.storage.old_schema import make_first_schema
from tuner.errors import DataError
from tuner.trial.preflight import prepare_data

PASSWORD = "hunter2-is-secret"
UNREACHABLE = f"postgresql://me:{PASSWORD}@127.0.0.1:1/studies"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("launch",),
        ("best",),
        ("best", "shapes", "-k", "0"),
        ("best", "shapes", "--format", "xml"),
        ("show", "shapes", "first"),
        ("split", "shapes"),
        ("export", "shapes"),
        ("launch", "spec.yaml", "--trials", "0"),
        ("launch", "spec.yaml", "--nonsense"),
        ("storage", "nonsense"),
        ("workers",),
    ],
)
def test_usage_errors_exit_2(arguments, tuner):
    ran = tuner(*arguments)
    assert ran.code == 2
    assert ran.complaints or "Usage:" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "shapes", "--to", "x", "--top", "0"), "'--top': must be greater than or equal to 1"),
        (("token", "create", "ann", "--scope", "foo"), "'--scope': 'foo' is not one of 'read', 'launch', 'admin'"),
    ],
)
def test_usage_errors_are_in_plain_words(arguments, said, tuner):
    assert f"Invalid value for {said}" in tuner(*arguments).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("best", "shaps"), "error: no study 'shaps'; there is 'shapes'"),
        (("status", "shaps"), "error: no study 'shaps'; there is 'shapes'"),
        (("stop", "shaps"), "error: no study 'shaps'; there is 'shapes'"),
        (("work", "shaps"), "error: no study 'shaps'; there is 'shapes'"),
        (("export", "shaps", "--to", "x"), "error: no study 'shaps'; there is 'shapes'"),
        (("show", "shapes", "4"), "error: study 'shapes' has no trial 4: it has trials 0 to 3"),
        (("logs", "shapes", "4"), "error: study 'shapes' has no trial 4: it has trials 0 to 3"),
        (("export", "shapes", "--to", "x", "--trial", "9"), "error: study 'shapes' has no trial 9"),
        (
            ("split", "shapes", "--split", "holdout"),
            "error: the study has no 'holdout' split; it has train, validation, test",
        ),
        (("trials", "shapes", "--sort", "size"), "error: cannot sort by 'size': one of trial, value, "),
        (
            ("trials", "shapes", "--state", "lost"),
            "error: 'lost' is not a state or outcome of trials; choose one of running, ",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(arguments, said, finished, tuner):
    ran = tuner(*arguments, cwd=finished[0].folder)
    assert (ran.code, ran.out, len(ran.complaints)) == (1, "", 1)
    assert ran.err.startswith(said)
    assert not (finished[0].folder / "x").exists()


@pytest.fixture(scope="module")
def newer(finished, tmp_path_factory):
    """The finished study, as if a newer version had launched it."""
    place = shutil.copytree(finished[0].folder, tmp_path_factory.mktemp("newer") / "place")
    with sqlite3.connect(place / "tuner.db") as database:
        database.execute(
            "UPDATE tuner_studies SET spec = json_set(spec, '$.teleport', 1, '$.training.warmup', 3), "
            "versions = json_set(versions, '$.\"keras-champion\"', '9.0.0')"
        )
    return place


@pytest.mark.parametrize(
    "arguments",
    [
        ("launch", "spec.yaml"),
        ("launch", "spec.yaml", "--on", "local"),
        ("work", "shapes"),
        ("work", "shapes", "--create-from", "spec.yaml"),
        ("export", "shapes", "--to", "champion"),
        ("enqueue", "shapes", "units=4"),
        ("status", "shapes", "--watch"),
    ],
)
def test_a_spec_of_a_newer_version_is_one_line_that_says_what_to_do(arguments, newer, tuner):
    ran = tuner(*arguments, cwd=newer)
    assert (ran.code, ran.out, len(ran.complaints)) == (1, "", 1)
    assert ran.err.startswith("error: the stored spec of study shapes cannot be read by keras-champion ")
    assert "it does not know the keys training.warmup, teleport. Version 9.0.0 launched the study. Upgrade " in ran.err
    assert not (newer / "champion").exists()


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("best",), ("trials",), ("show", "0"), ("workers",), ("report", "--html", "x.html"), ("stop",)],
)
def test_what_needs_no_spec_does_without_one_of_this_version(arguments, newer, tuner):
    command, *others = arguments
    ran = tuner(command, "shapes", *others, cwd=newer)
    assert ran.code == 0, ran.err


def test_logs_that_are_gone(finished, tuner, tmp_path):
    place = shutil.copytree(finished[0].folder, tmp_path / "copy")
    with sqlite3.connect(place / "tuner.db") as database:
        database.execute("UPDATE tuner_studies SET artifacts = ?", (str(tmp_path / "elsewhere"),))
    for arguments in (("logs", "shapes", "1"), ("split", "shapes", "--split", "train")):
        ran = tuner(*arguments, cwd=place)
        assert (ran.code, len(ran.complaints)) == (1, 1)
        assert f"{tmp_path / 'elsewhere'}" in ran.err


@pytest.mark.parametrize("command", [("studies",), ("best", "shapes"), ("status", "shapes"), ("stop", "shapes")])
def test_a_query_without_a_database_creates_nothing(command, tuner, tmp_path):
    ran = tuner(*command)
    assert ran.code == 1
    (line,) = ran.complaints
    assert line.startswith(f"error: there are no studies in sqlite:///{tmp_path}/tuner.db: launch a study first")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verbose", [(), ("--verbose",)])
@pytest.mark.parametrize("command", [("best", "shapes"), ("launch", "spec.yaml")])
def test_a_password_is_never_printed(command, verbose, tuner, place, raw_spec):
    place.write_spec(raw_spec())
    ran = tuner(*command, "--storage", UNREACHABLE, *verbose)
    assert ran.code == 1
    assert PASSWORD not in ran.out + ran.err
    assert ("Traceback" in ran.err) == bool(verbose)
    said = ran.err.splitlines()[-1]
    assert said.startswith("error: cannot use the database postgresql+psycopg://me:***@127.0.0.1:1/studies: ")
    assert "refused" in said
    written = [file for file in place.folder.rglob("*") if file.is_file()]
    assert not [file for file in written if PASSWORD.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tuner.db", "is not a URL"),
        ("oracle://me@host/x", "kind 'oracle'"),
        (f"redis://me:{PASSWORD}@host/x", "kind 'redis'"),
        ("sqlite://", "names no file"),
    ],
)
def test_urls_that_cannot_be_used(url, said, tuner):
    ran = tuner("studies", "--storage", url)
    (line,) = ran.complaints
    assert ran.code == 1
    assert said in line and "use sqlite:///FILE, postgresql://" in line
    assert PASSWORD not in line


def test_a_file_that_is_no_database(tuner, tmp_path):
    (tmp_path / "tuner.db").write_text("not a database, " * 100)
    ran = tuner("studies")
    (line,) = ran.complaints
    assert (ran.code, "file is not a database" in line) == (1, True)


def test_a_database_of_a_newer_version(finished, tuner, tmp_path):
    shutil.copyfile(finished[0].folder / "tuner.db", tmp_path / "tuner.db")
    with sqlite3.connect(tmp_path / "tuner.db") as database:
        database.execute("UPDATE tuner_schema_version SET version_num = '9999'")
    ran = tuner("best", "shapes")
    (line,) = ran.complaints
    assert ran.code == 1
    assert "has schema 9999, this version knows up to " in line and "update keras-champion" in line


@pytest.mark.fast
def test_a_database_of_an_older_version_is_upgraded_on_request(tuner, tmp_path):
    make_first_schema(f"sqlite:///{tmp_path / 'tuner.db'}").close()
    (line,) = tuner("best", "old").complaints
    assert "has schema 0001" in line and "run `tuner storage upgrade`" in line
    upgraded = tuner("storage", "upgrade")
    assert (upgraded.code, upgraded.out) == (0, "")
    assert upgraded.complaints[0].endswith(f"upgraded from schema 0001 to {REVISIONS[-1]}")
    assert tuner("storage", "upgrade").complaints[0].endswith(f"already has schema {REVISIONS[-1]}")
    assert [trial["value"] for trial in tuner("best", "old", "--format", "json").json] == [0.75]


def test_a_newer_database_or_none_is_not_upgraded(finished, tuner, tmp_path):
    (line,) = tuner("storage", "upgrade").complaints
    assert "there are no studies in" in line
    assert not list(tmp_path.glob("tuner.db*"))
    shutil.copyfile(finished[0].folder / "tuner.db", tmp_path / "tuner.db")
    with sqlite3.connect(tmp_path / "tuner.db") as database:
        database.execute("UPDATE tuner_schema_version SET version_num = '9999'")
    (line,) = tuner("storage", "upgrade").complaints
    assert "update keras-champion" in line


def test_storage_is_the_option_else_the_variable_else_the_working_directory(finished, tuner, tmp_path, monkeypatch):
    here = finished[0].folder
    shutil.copyfile(here / "tuner.db", tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("UPDATE studies SET study_name = 'others'")
        database.execute("UPDATE tuner_studies SET name = 'others'")

    def listed(*options):
        return [item["study"] for item in tuner("studies", *options, "--format", "json", cwd=here).json]

    assert listed() == ["shapes"]
    assert listed("--storage", f"sqlite:///{tmp_path}/other.db") == ["others"]
    monkeypatch.setenv("TUNER_STORAGE", f"sqlite:///{tmp_path}/other.db")
    assert listed() == ["others"]
    assert listed("--storage", f"sqlite:///{here}/tuner.db") == ["shapes"]


def _copy_images(images, folder):
    shutil.copytree(images, folder)
    return folder


def _one_class(images, folder):
    shutil.copytree(images / "dark", folder / "dark")


def _too_few(images, folder):
    shutil.rmtree(_copy_images(images, folder) / "dark")
    (folder / "dark").mkdir()
    shutil.copy(images / "dark" / "00.png", folder / "dark")


def _corrupt(images, folder):
    _copy_images(images, folder)
    for index in range(12):
        (folder / "dark" / f"{index:02d}.png").write_bytes(b"" if index % 2 else b"\x89PNG but not really")


def _unsupported(images, folder):
    (_copy_images(images, folder) / "dark" / "photo.tiff").write_bytes(b"II*\0")


def _file(images, folder):
    folder.write_text("not a folder")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda images, folder: folder.mkdir(), "is empty: it needs one folder of images per class"),
        (lambda images, folder: None, "does not exist: check the path in the spec's data"),
        (_file, "is a file, not a folder of class folders"),
        (_one_class, "holds only one class ('dark'): classification needs two"),
        (_too_few, "class 'dark' has 1 usable example and needs at least 2, one for each of train, validation"),
        (_corrupt, "12 files under "),
        (_unsupported, "dark/photo.tiff (.tiff; supported are bmp, gif, jpeg, jpg, png)"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_line(spoil, said, images, make_spec, tmp_path, cache):
    spoil(images, tmp_path / "data")
    data = {"kind": "image_directory", "path": str(tmp_path / "data"), "image_size": [8, 8], "color_mode": "grayscale"}
    with pytest.raises(DataError) as refused:
        prepare_data(make_spec(data=data), cache, lambda message: None)
    text = str(refused.value)
    assert said in text and "\n" not in text
    assert spoil is _too_few or f"{tmp_path / 'data'}" in text
    if spoil is _corrupt:
        assert text.count(".png (") == 10 and "and 2 more" in text and "data.on_error" in text


@pytest.mark.slow
def test_launch_refuses_corrupt_images_by_name_and_stores_no_study(tuner, place, raw_spec, images):
    _corrupt(images, place.folder / "data")
    raw = raw_spec()
    raw["data"]["path"] = "data/"
    ran = tuner("launch", place.write_spec(raw))
    assert (ran.code, ran.out) == (1, "")
    line = ran.complaints[-1]
    assert line.startswith(f"error: 12 files under {place.folder / 'data'} cannot be used: dark/00.png (")
    assert tuner("studies", "--format", "json").json == []
    # Its place is where another study may have its files.
    assert not (place.folder / "tuner-artifacts").exists()


SYNTAX_ERROR = "import keras_tuner\n\nclass Space(keras_tuner.HyperModel)\n    pass\n"
RAISING = """import keras_tuner


class Space(keras_tuner.HyperModel):
    def build(self, hp):
        depth = hp.Int("depth", 1, 3)
        raise RuntimeError(f"no layer of depth {depth}")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"),
    [(SYNTAX_ERROR, ("space.py", "line 3")), (RAISING, ("RuntimeError: no layer of depth 1", "space.py", "line 7"))],
)
def test_a_space_that_cannot_be_built_is_refused_with_its_file_and_line(source, said, tuner, place, raw_spec, cache):
    (place.folder / "space.py").write_text(source)
    ran = tuner("launch", place.write_spec(raw_spec("space.py:Space")))
    assert ran.code == 1
    assert all(word in ran.complaints[-1] for word in said)
    assert tuner("studies", "--format", "json").json == []
    assert not list(place.folder.glob("tuner-artifacts/*/preflight.log"))
    assert "Traceback" in (cache / "preflight.log").read_text()


@pytest.mark.slow
def test_an_objective_that_no_epoch_logs_is_answered_with_those_that_are(tuner, place, raw_spec):
    ran = tuner("launch", place.write_spec(raw_spec(objective="val_auc")))
    assert ran.code == 1
    said = "error: objective: no epoch logs 'val_auc'; logged are accuracy, loss, val_accuracy, val_loss"
    assert ran.complaints[-1] == said


def test_an_error_of_our_own_is_one_line_too(finished, tuner, tmp_path):
    place = shutil.copytree(finished[0].folder, tmp_path / "copy")
    with sqlite3.connect(place / "tuner.db") as database:
        database.execute("UPDATE tuner_studies SET versions = '[1]'")
    ran = tuner("work", "shapes", cwd=place)
    assert ran.code == 1
    assert ran.complaints[-1].endswith("add --verbose to see the traceback")
    assert "Traceback" in tuner("work", "shapes", "--verbose", cwd=place).err
