"""What a search space's code is, and what differs."""

from __future__ import annotations

import shutil
import sys

import pytest

from tuner.processes.versions import Difference, code_hash, differences, versions_here
from tuner.spec.choices import Space

SPACE = """
import os
import layers
from helpers.deep import block
raise RuntimeError("nobody may run this to look at it")
"""


@pytest.fixture
def space(tmp_path):
    """A file that imports a neighbour, which imports another one, and a package beside it."""
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "layers.py").write_text("from . import constants\n")
    (tmp_path / "constants.py").write_text("WIDTH = 3\n")
    (tmp_path / "unrelated.py").write_text("WIDTH = 3\n")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/__init__.py").touch()
    (tmp_path / "helpers/deep.py").write_text("def block(): ...\n")
    return tmp_path / "space.py"


@pytest.mark.parametrize("changed", ["space.py", "layers.py", "constants.py", "helpers/deep.py"])
def test_the_file_and_what_it_imports_of_its_folder_are_its_code(space, changed):
    before = code_hash(f"{space}:Space")
    file = space.parent / changed
    file.write_text(file.read_text() + "# changed\n")
    assert code_hash(f"{space}:Space") != before


def test_what_it_does_not_import_is_not(space):
    before = code_hash(f"{space}:Space")
    (space.parent / "unrelated.py").write_text("WIDTH = 4\n")
    assert code_hash(f"{space}:Other") == before


def test_the_place_of_the_folder_does_not_matter(space, tmp_path_factory):
    copy = shutil.copytree(space.parent, tmp_path_factory.mktemp("elsewhere") / "copy")
    assert code_hash(f"{copy}/space.py:Space") == code_hash(f"{space}:Space")


def test_a_module_is_found_without_running_anything(space, monkeypatch):
    (space.parent / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(str(space.parent.parent))
    module = f"{space.parent.name}.space"
    assert code_hash(f"{module}:Space") == code_hash(f"{space}:Space")
    assert space.parent.name not in sys.modules


@pytest.mark.parametrize("name", ["nowhere.py:Space", "no_such_package.module:Space", "json.nothing:Space"])
def test_code_that_is_not_here_is_missing(name):
    assert code_hash(name) == "missing"


def test_a_file_that_is_no_python_is_its_bytes(tmp_path):
    (tmp_path / "space.py").write_text("def (:")
    assert code_hash(f"{tmp_path}/space.py:Space") != "missing"


def test_the_code_that_a_spec_names_is_recorded_and_built_in_spaces_are_of_this_version(space, make_spec):
    own, built_in = make_spec("Fast"), make_spec("Fast").model_copy(update={"space": Space(name="image")})
    assert set(versions_here(own)) == {*versions_here(built_in), "space"}
    source = {"kind": "python", "source": f"{space}:load"}
    assert set(versions_here(make_spec("Fast", data=source))) == {*versions_here(own), "data_source"}
    training = {"callbacks": [f"{space}:first", f"{space}:second"]}
    assert set(versions_here(make_spec("Fast", training=training))) == {*versions_here(own), "callbacks"}


def test_only_what_the_study_recorded_is_compared():
    here = {"keras": "3.1", "numpy": "2.0", "python": "3.11.2"}
    assert differences({}, here) == []
    assert differences({"keras": "3.1"}, here) == []
    assert differences({"keras": "3.0", "torch": "2"}, here) == [
        Difference("keras", "3.1", "3.0"),
        Difference("torch", "missing", "2"),
    ]
