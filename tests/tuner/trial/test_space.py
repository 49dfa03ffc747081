"""Finding the space that a spec names."""

from __future__ import annotations

import json

import keras_tuner
import pytest

from search_spaces.base import SearchSpace
from search_spaces.image import ImageSpace
from tuner.errors import SpaceError
from tuner.spec.choices import Space
from tuner.spec.reading import validate_spec
from tuner.trial.space import load_space

FILE = """
import functools
from collections.abc import Sequence
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
    def __init__(self, what="built"): self.what = what
    def build(self, hp): return self.what
    def __call__(self, hp): return self.what
    @classmethod
    def of_the_class(cls, hp): return "built"
    @staticmethod
    def of_nobody(hp): return "built"

class Nested:
    maker = Maker()

class Nothing: ...

maker = Maker()
bound = Maker().build
hypermodel = keras_tuner.HyperModel()

def function_with_options(hp, shape, units=(1, 2), *, either=None):
    return shape, units, either

class Shapes(keras_tuner.HyperModel):
    def __init__(
        self, input_shape, kernel=(3, 3), pools=((1, 1), (2, 2)), filters=[8], annotated: tuple[int, ...] | None = None,
        sequence: Sequence[int] = (), pairs: list[tuple[int, int]] = (), plain=None,
    ):
        super().__init__()
        self.given = dict(locals())
    def build(self, hp): ...
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


@pytest.mark.parametrize(
    "name",
    [
        "bound",
        "partial",
        "maker",
        "maker.build",
        "Nested.maker.build",
        "Maker",
        "Maker.build",
        "Maker.of_the_class",
        "Maker.of_nobody",
    ],
)
def test_a_bound_method_and_any_callable_are_functions_of_hp(load, name):
    assert load(f"json.py:{name}").build(keras_tuner.HyperParameters()) == "built"


def test_options_go_to_whatever_makes_the_function(load):
    hp = keras_tuner.HyperParameters()
    assert load("json.py:Maker.build", what="said").build(hp) == "said"
    assert load("json.py:Maker", what="said").build(hp) == "said"
    assert load("json.py:function_with_options", shape=[2, 3], either=[1]).build(hp) == ((2, 3), (1, 2), [1])


def test_lists_of_a_spec_are_tuples_where_tuples_are_taken(load):
    options = {
        "input_shape": [8, 8, 1],
        "kernel": [5, 5],
        "pools": [[1, 2], [3, 4], [5, 6]],
        "filters": [16],
        "annotated": [1],
        "sequence": [1],
        "pairs": [[1, 2]],
        "plain": [1],
    }
    given = load("json.py:Shapes", **options).given
    assert {name: given[name] for name in options} == {
        "input_shape": (8, 8, 1),
        "kernel": (5, 5),
        "pools": ((1, 2), (3, 4), (5, 6)),
        "filters": [16],
        "annotated": (1,),
        "sequence": [1],
        "pairs": [(1, 2)],
        "plain": [1],
    }


def test_a_tuple_may_be_written_as_such_and_stays_one_in_a_stored_spec(load):
    written = {"input_shape": [1], "plain": {"tuple": [1, {"tuple": [2]}]}}
    assert load("json.py:Shapes", **written).given["plain"] == (1, (2,))
    options = {"plain": (1, [(2,)]), "filters": {"deep": ({"deeper": ()},)}}
    space = Space.model_validate({"name": "a:B", **options})
    again = Space.model_validate_json(space.model_dump_json())
    assert again.options == space.options == options
    assert json.loads(space.model_dump_json())["plain"] == {"tuple": [1, [{"tuple": [2]}]]}


def test_a_file_named_like_a_library_does_not_replace_it(load):
    load("json.py:Plain")
    assert json.loads("[1]") == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("json.py:Missing", "has no 'Missing'"),
        ("json.py:maker.number", "maker has no 'number'"),
        ("json.py:Nothing", "neither a keras_tuner.HyperModel nor a function"),
        ("json.py:number", "neither a keras_tuner.HyperModel nor a function"),
        ("nowhere.py:Space", "cannot be imported: FileNotFoundError"),
        ("no.such.module:Space", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_loaded_is_said(load, name, said):
    with pytest.raises(SpaceError, match=said):
        load(name)


@pytest.mark.parametrize("name", ["Plain", "function", "Maker.build"])
def test_an_unknown_option_is_said(load, name):
    with pytest.raises(SpaceError, match=r"cannot be constructed.*unexpected keyword argument 'wings'"):
        load(f"json.py:{name}", wings=2)


def test_options_for_what_is_constructed_already_are_refused(load):
    with pytest.raises(SpaceError, match="takes no options; name its class"):
        load("json.py:hypermodel", wings=2)
