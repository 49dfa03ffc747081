from pathlib import Path

import pytest

from tuner.data.python_source import PythonSource
from tuner.data.second_reading import check_second_reading
from tuner.errors import DataError
from tuner.spec.data import Python

SOURCE = """
import numpy as np

STATE = np.random.default_rng(0)


def fresh():
    return np.random.default_rng().normal(size=(20, 3)), np.arange(20) % 2


def seeded():
    return np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2


def kept():
    return STATE.normal(size=(20, 3)), np.arange(20) % 2


def shuffled(seed=None):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((np.arange(60.0), np.arange(60) % 2)).shuffle(60, seed=seed)
"""


def read_twice(folder: Path, function: str, **args: object) -> None:
    (folder / "source.py").write_text(SOURCE)
    (folder / "scratch").mkdir()
    data = Python(kind="python", source=f"{folder / 'source.py'}:{function}", args=args)
    check_second_reading(data, PythonSource(data, folder / "scratch").fingerprint, folder)
    assert sorted(each.name for each in folder.iterdir() if each.name.startswith(".")) == []


@pytest.mark.parametrize("function, args", [("fresh", {}), ("shuffled", {})])
def test_a_source_without_a_seed_is_refused(tmp_path: Path, function: str, args: dict[str, object]) -> None:
    with pytest.raises(DataError, match=f"{function} gives other data each time .* a seed, such as .shuffle"):
        read_twice(tmp_path, function, **args)


@pytest.mark.fast
@pytest.mark.parametrize("function, args", [("seeded", {}), ("shuffled", {"seed": 7}), ("kept", {})])
def test_a_source_that_gives_the_same_in_every_process_is_right(
    tmp_path: Path, function: str, args: dict[str, object]
) -> None:
    read_twice(tmp_path, function, **args)
