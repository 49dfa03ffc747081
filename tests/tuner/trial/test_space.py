"""Finding the space that a spec names."""

from __future__ import annotations

import json

import keras_tuner
import pytest

from search_spaces.base import SearchSpace
from search_spaces.image import ImageSpace
from tuner.errors import SpaceError
from tuner.spec.reading import validate_spec
from tuner.trial.space import load_space

FILE = """
import functools
import keras_tuner
from search_spaces.base import SearchSpace

class Told(SearchSpace):
    labels = "one_hot"
    def __init__(self, data, *, depth=1, **training):
        super().__init__(data, **training)
        self.depth = depth
    def build(self, hp): ...

class Plain(keras_tuner.HyperModel):
    def __init__(self, units=4):
        super().__init__()
        self.units = units
    def build(self, hp): ...

def function(hp): return "built"

class Maker:
    def build(self, hp): return "built"

bound = Maker().build
partial = functools.partial(lambda built, hp: built, "built")
number = 3
"""


@pytest.fixture
def data(image_summary):
    return image_summary((8, 8, 1), ("a", "b"), {"train": 8, "validation": 2}, (4, 4))


@pytest.fixture
def load(tmp_path, data):
    (tmp_path / "json.py").write_text(FILE)

    def load(name, **options):
        images = {"kind": "image_directory", "path": "."}
        raw = {"study": "s", "data": images, "space": {"name": name, **options}, "objective": "val_loss"}
        spec = validate_spec(raw | {"training": {"epochs": 7, "batch_size": 9}}, source="test", base=tmp_path)
        return load_space(spec, data)

    return load


def test_the_built_in_space(load):
    assert isinstance(load("image"), ImageSpace)


def test_a_space_of_ours_is_told_about_the_data_and_the_training(load, data):
    space = load("json.py:Told", depth=3)
    assert isinstance(space, SearchSpace)
    assert (space.data, space.depth, space.epochs, space.batch_size) == (data, 3, 7, 9)
    assert space.labels == "one_hot"


def test_a_plain_hypermodel_gets_its_options(load):
    assert load("json.py:Plain", units=16).units == 16


def test_a_function_of_hp(load):
    assert load("json.py:function").build(keras_tuner.HyperParameters()) == "built"


def test_a_bound_method_and_any_callable_are_functions_of_hp(load):
    for name in ("bound", "partial"):
        assert load(f"json.py:{name}").build(keras_tuner.HyperParameters()) == "built"


def test_a_file_named_like_a_library_does_not_replace_it(load):
    load("json.py:Plain")
    assert json.loads("[1]") == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("json.py:Missing", "has no 'Missing'"),
        ("json.py:number", "neither a keras_tuner.HyperModel nor a function"),
        ("nowhere.py:Space", "cannot be imported: FileNotFoundError"),
        ("no.such.module:Space", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_said(load, name, said):
    with pytest.raises(SpaceError, match=said):
        load(name)


def test_an_unknown_option_is_said(load):
    with pytest.raises(SpaceError, match=r"cannot be constructed.*unexpected keyword argument 'wings'"):
        load("json.py:Plain", wings=2)
