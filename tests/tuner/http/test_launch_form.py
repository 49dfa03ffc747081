"""The form that launches a search, as a browser without scripts sends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import standing, tokens
from storage.connecting import connect
from storage.pool import PoolMember
from storage.studies import create_study, load_study
from tests.tuner.conftest import SPACES
from tests.tuner.http.test_sign_in import csrf_of
from tuner.client import Client
from tuner.errors import DataError
from tuner.http.pages.data_folders import listing
from tuner.http.pages.spec_form.fields import KINDS, data_fields, sections
from tuner.http.pages.spec_form.reading import laid_over, raw_spec
from tuner.spec.data import DATA_KINDS
from tuner.spec.policy import SpecPolicy, examine_outside_spec
from tuner.spec.search_spec import SearchSpec

Serve = Callable[..., str]
SPACE = f"{SPACES}:Fast"
SPEC = {"study": "shapes", "space": SPACE, "objective": "val_accuracy", "trials": "2", "pruner": "none"}
DATA = {
    "data.kind": "image_directory",
    "data.path": "shapes",
    "data.image_size": "8 x 8",
    "data.color_mode": "grayscale",
}
TRAINING = {"training.epochs": "1", "training.batch_size": "16"}


class Form:
    """The form in a browser: sends what was typed with the button that is pressed, and gives the next page."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.page = client.get("/launch")

    def send(self, typed: dict[str, str], action: str = "check", **more: str) -> httpx.Response:
        digest = re.search(r'name="digest" value="([0-9a-f]+)"', self.page.text)
        hidden = {"csrf": csrf_of(self.page)} | ({"digest": digest[1]} if digest else {})
        self.page = self._client.post("/launch", data={**hidden, **typed, "action": action, **more}, timeout=120)
        return self.page

    def problem_at(self, field: str) -> str:
        found = re.search(rf'id="{field}-problem">(.*?)</p>', self.page.text, re.DOTALL)
        assert found, f"nothing is said at {field}"
        return unescape(found[1])


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/tuner.db"
    connect(found, create=True).close()
    return found


@pytest.fixture
def client(serving: Serve, url: str, images: Path) -> Iterator[httpx.Client]:
    allowed = {"spaces": (SPACE,), "data_roots": (images.parent,), "launchers": ("local",)}
    with httpx.Client(base_url=serving(url, **allowed), headers={"Accept": "text/html"}, timeout=30) as made:
        yield made


@pytest.fixture
def form(client: httpx.Client) -> Form:
    return Form(client)


def test_every_key_of_a_spec_has_a_field_or_is_the_operators() -> None:
    keys = {each.key for part in sections(("image",)) for each in part.fields}
    top = {str(info.validation_alias or name) for name, info in SearchSpec.model_fields.items()}
    assert {key.split(".")[0] for key in keys} | {"data", "launch", "storage", "artifacts"} == top
    for kind in KINDS:
        assert {each.key for each in data_fields(kind)} == {f"data.{n}" for n in DATA_KINDS[kind].model_fields} - {
            "data.kind"
        }
    explained = {each.key for part in sections(("image",)) for each in part.fields if each.help}
    assert keys == explained


def test_defaults_that_are_shown_are_those_that_count(tmp_path: Path) -> None:
    """Every default, typed out, gives the spec that empty fields give."""
    spaces = ("image", "text", "structured")
    policy = SpecPolicy(data_roots=(tmp_path,))
    for kind in KINDS:
        typed = {"data.kind": kind, "study": "s", "space": "image", "objective": "val_loss", "data.path": "x"}
        fields = [*data_fields(kind), *(each for part in sections(spaces) for each in part.fields)]
        shown = {each.key: each.default for each in fields if each.default}
        empty = examine_outside_spec(raw_spec(typed, spaces)[0], policy)
        assert examine_outside_spec(raw_spec(typed | shown, spaces)[0], policy) == empty


def test_what_is_typed_becomes_a_spec() -> None:
    typed = {
        "data.kind": "csv",
        "data.ignore": "id, name",
        "data.columns": "{zip: category}",
        "data.label_separator": "|",
        "space": "structured",
        "objective": "[{metric: val_dice, direction: maximize}, parameters]",
        "constraints": "parameters <= 1e6\nval_loss: '< 2'",
        "timeout": "90m",
        "training.early_stopping": "null",
        "training.early_stopping.patience": "3",
        "training.jit_compile": "true",
        "yaml": "space: {families: [mlp]}\ntraining: {epochs: 3}\ndata: {ignore: [id]}",
    }
    raw, wrong = raw_spec(typed, ("structured",))
    assert not wrong
    assert raw == {
        "data": {"kind": "csv", "ignore": ["id"], "columns": {"zip": "category"}, "label_separator": "|"},
        "space": {"name": "structured", "families": ["mlp"]},
        "objective": [{"metric": "val_dice", "direction": "maximize"}, "parameters"],
        "constraints": {"parameters": "<= 1e6", "val_loss": "< 2"},
        "timeout": "90m",
        "training": {"early_stopping": None, "jit_compile": True, "epochs": 3},
    }
    assert laid_over({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}, "d": 4}) == {"a": {"b": 3, "c": 2}, "d": 4}


def test_mistakes_stand_at_their_fields_and_nothing_typed_is_lost(form: Form) -> None:
    typed = SPEC | DATA | {"study": '<img src=x onerror="alert(1)">', "trials": "0", "constraints": "parameters < x"}
    page = form.send(typed | {"yaml": "seed: [", "training.epochs": "three: {"})
    assert page.status_code == 422
    assert form.problem_at("yaml").startswith("yaml: the value is not YAML")
    assert form.problem_at("training-epochs").startswith("training.epochs: the value is not YAML")
    assert "onerror=&#34;alert(1)&#34;&gt;" in page.text and "<img" not in page.text
    assert "parameters &lt; x" in page.text and "seed: [" in page.text
    # What is no text of its field is not all that is said.
    form.send(typed | {"data.path": "/etc", "training.epochs": "three: {", "yaml": "sampler: {n_startup: 3}"})
    assert form.problem_at("training-epochs").startswith("training.epochs: the value is not YAML")
    assert form.problem_at("trials") == "trials: must be greater than 0 (it is 0)"
    assert "data.path: the path is outside the folders" in form.problem_at("image_directory-data-path")
    assert form.problem_at("sampler").startswith("sampler.n_startup: unknown option; did you mean n_startup_trials?")
    page = form.send(typed | {"yaml": "training: {epoch: 3}"})
    assert form.problem_at("study").startswith("study: must consist of at most 100 letters, digits")
    assert form.problem_at("trials") == "trials: must be greater than 0 (it is 0)"
    assert form.problem_at("constraints").startswith("constraints.parameters: write <=")
    # The first one has the focus; what has no field came from the YAML.
    assert form.problem_at("yaml").startswith("training.epoch: unknown key; did you mean epochs?")
    whole = form.send({"whole": "study: s\ntrails: 3"})
    assert "trails: unknown key; did you mean trials?" in unescape(whole.text)
    assert re.search(r'<div class="notice bad"[^>]*autofocus', whole.text)
    page = form.send(typed)
    assert re.search(r'id="study"[^>]*aria-invalid="true"\s+autofocus', page.text)


def test_what_can_be_seen_of_the_data_at_once_is_said(form: Form, images: Path, tmp_path: Path) -> None:
    form.send(SPEC | DATA | {"data.path": "missing"})
    assert "missing does not exist" in form.problem_at("image_directory-data-path")
    table = images.parent / "table.csv"
    table.write_text("age,label\n1,a\n2,b\n")
    typed = SPEC | {"data.kind": "csv", "data.path": "table.csv", "space": "structured"}
    form.send(typed)
    assert form.problem_at("csv-data-label_column") == "data.label_column: the search space structured needs labels"
    form.send(typed | {"data.label_column": "lable"})
    assert "did you mean 'label'?" in form.problem_at("csv-data-label_column")
    form.send(typed | {"data.label_column": "label", "data.columns": "{aged: number}"})
    assert "has no column 'aged'" in form.problem_at("csv-data-columns")


def test_what_is_checked_is_shown_whole_and_only_that_is_launched(form: Form, url: str) -> None:
    assert "For example <code>90m</code>." in form.page.text and "<code>parameters &lt;= 1e6</code>" in form.page.text
    page = form.send(SPEC | DATA | TRAINING)
    shown = unescape(page.text)
    assert page.status_code == 200 and "study: shapes" in shown and "keep_checkpoints: null" in shown
    assert "No standing worker is available now" in shown
    changed = form.send(SPEC | DATA | TRAINING | {"trials": "3"}, "launch")
    assert changed.status_code == 409 and "no longer the one that was checked" in changed.text
    database = connect(url)
    standing.note(database, PoolMember("pool-a", "n1", 1, "1"), "other-*")
    assert "No standing worker is available now" in form.send(SPEC | DATA).text
    standing.note(database, PoolMember("pool-b", "n1", 2, "1"), "*")
    assert "1 standing worker is available now" in form.send(SPEC | DATA).text
    standing.leave(database, PoolMember("pool-b", "n1", 2, "1"))
    assert [each.name for each in standing.standing_pools(database)] == ["pool-a"]
    database.close()


@pytest.mark.fast
@pytest.mark.slow
def test_a_study_is_launched(form: Form, client: httpx.Client, url: str, images: Path, tmp_path: Path) -> None:
    typed = SPEC | DATA | TRAINING
    (images.parent / "one.csv").write_text("age,label\n1,a\n2,a\n")
    wrong = SPEC | {"data.kind": "csv", "data.path": "one.csv", "data.label_column": "label"}
    form.send(wrong)
    refused = form.send(wrong, "launch")
    assert refused.status_code == 422 and "holds only one class" in form.problem_at("csv-data-label_column")
    with Client(str(client.base_url)) as program, pytest.raises(DataError, match="only one class") as same:
        data = {"kind": "csv", "path": "one.csv", "label_column": "label"}
        program.create_study({"study": "shapes", "data": data, "space": SPACE, "objective": "val_accuracy"})
    assert same.value.key == "data.label_column"
    # Nothing stays of what is refused.
    assert not (tmp_path / "tuner-artifacts").exists()
    form.send(typed)
    many = form.send(typed, "launch", on="local", workers="99")
    assert many.status_code == 422 and "the service allows at most 16 workers, not" in form.problem_at("workers")
    assert "Spec that will be launched" in many.text
    done = form.send(typed, "launch", on="pool")
    assert (done.status_code, done.headers["Location"]) == (303, "/studies/shapes")
    database = connect(url)
    assert load_study(database, "shapes").budget == 2
    database.close()
    form.page = client.get("/launch")
    form.send(typed)
    again = form.send(typed, "launch", on="pool")
    assert again.status_code == 409 and "shapes" in form.problem_at("study")


def test_a_whole_spec_as_yaml(form: Form, client: httpx.Client) -> None:
    form.page = client.get("/launch", params={"as": "yaml"})
    assert 'name="whole"' in form.page.text and 'name="study"' not in form.page.text
    assert "is required" in form.send({"whole": ""}).text
    wrong = form.send({"whole": "study: s\nstorage: sqlite:////tmp/x.db\n- 1"})
    assert form.problem_at("whole").startswith("whole: the value is not YAML") and "storage: sqlite" in wrong.text
    form.page = client.get("/launch")
    filled = form.send(SPEC | DATA, "yaml")
    text = re.search(r'name="whole"[^>]*>\n(.*?)</textarea>', filled.text, re.DOTALL)
    assert text and "Spec that will be launched" in form.send({"whole": unescape(text[1])}).text


def test_folders_are_chosen_among_the_operators(form: Form, client: httpx.Client, images: Path) -> None:
    typed = SPEC | DATA | {"data.path": ""}
    shown = form.send(typed, "", browse="data.path").text
    assert f'name="pick.data.path" value="{images.parent}"' in shown
    inside = form.send(typed, "", **{"pick.data.path": str(images.parent)}).text
    assert f'value="{images}"' in inside and 'value="2"' in inside
    picked = form.send(typed, "", **{"pick.data.path": str(images)}).text
    assert re.search(rf'name="data.path" value="{images}"', picked)
    for outside in ("/etc", "../..", "/proc/self/environ", "a\0b"):
        found = form.send(typed | {"data.path": outside}, "", browse="data.path").text
        assert "passwd" not in found and 'value="/etc/' not in found


@pytest.mark.fast
def test_a_listing_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "a" / "b").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "a" / "out").symlink_to(tmp_path / "outside")
    (root / "a" / "loop").symlink_to(root / "a" / "loop")
    for name in ("t.csv", "t.txt", ".hidden.csv"):
        (root / "a" / name).write_text("x")
    found = listing((root,), "a")
    assert (found.path, found.above) == (str(root / "a"), str(root))
    assert (found.folders, found.files) == ((str(root / "a/b"),), (str(root / "a/t.csv"),))
    # The folder that a file is in; and there is nothing above a root but the list of roots.
    assert listing((root,), "a/t.csv").path == str(root / "a")
    assert listing((root,), str(root)).above == ""
    for outside in ("/", "a/out", "../outside", ""):
        assert listing((root,), outside).path in (None, str(root), str(root / "a"))
    assert listing((), "/etc").folders == ()


def test_fields_of_another_kind_come_without_a_script(form: Form) -> None:
    page = form.send(SPEC | {"data.kind": "csv", "data.label_column": "price"}, "fields")
    assert re.search(r'data-kind="csv"[^>]*>', page.text)
    assert not re.search(r'data-kind="csv"[^>]*disabled', page.text)
    assert re.search(r'data-kind="image_directory"[^>]*hidden disabled', page.text)
    assert re.search(r'id="csv-data-label_column"[^>]*value="price"', page.text)


def test_a_reader_sees_why_not(serving: Serve, url: str) -> None:
    database = connect(url)
    secret = tokens.create(database, "reader", "read")
    database.close()
    with httpx.Client(base_url=serving(url), headers={"Accept": "text/html"}, cookies={"tuner_token": secret}) as made:
        page = made.get("/launch")
        assert "to launch a search; yours has the <code>read</code> scope" in page.text
        assert re.search(r'<fieldset class="all" disabled', page.text)
        sent = made.post("/launch", data={"csrf": csrf_of(page), "action": "launch"} | SPEC | DATA)
        assert sent.status_code == 403


def test_a_page_that_has_grown_old_comes_back_with_what_was_typed(client: httpx.Client) -> None:
    sent = client.post("/launch", data={"csrf": "0" * 64, "action": "launch"} | SPEC | DATA)
    assert sent.status_code == 403 and "was outdated" in sent.text and 'value="shapes"' in sent.text


def test_an_existing_study_is_named_at_its_field(form: Form, url: str) -> None:
    described: dict[str, Any] = {"spec": {}, "summary": {}, "versions": {}, "space": {"hyperparameters": []}}
    database = connect(url)
    objectives = [{"metric": "val_accuracy", "direction": "maximize"}]
    create_study(database, "shapes", objectives=objectives, fingerprint="f", artifacts="a", budget=1, **described)
    database.close()
    form.send(SPEC | DATA)
    assert form.send(SPEC | DATA, "launch", on="pool").status_code == 409
    assert "shapes" in form.problem_at("study")
