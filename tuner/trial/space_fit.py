"""A space's ``fit``, called as KerasTuner's search calls it, and what it says of batches, epochs and callbacks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.cache import PreparedData

_GIVEN_TWICE = re.compile(r"got multiple values for keyword argument '(\w+)'")
_KINDS = inspect.Parameter
_KERAS_FIT = inspect.signature(keras.Model.fit)


class TrainingData:
    """The examples that a ``fit`` is given: as batches, whose size it may choose, or as arrays.

    Args:
        validates: whether there is anything that validation could run.
        first_batch_only: for a look at whether training works at all.

    Attributes:
        batches: of training, see ``BatchFormat``.
        validation: likewise; None if nothing validates.
    """

    def __init__(
        self,
        data: PreparedData,
        form: BatchFormat,
        batch_size: int,
        seed: int,
        *,
        validates: bool,
        first_batch_only: bool = False,
    ) -> None:
        # For a single batch, nothing is worth keeping.
        form = replace(form, in_memory_bytes=0) if first_batch_only else form
        self._data, self._form, self._seed = data, form, seed
        self.batch_size = batch_size
        self._first_batch_only = first_batch_only
        self._epoch = 0
        self.batches = self.training_batches(batch_size)
        self.validation = self.validation_batches(batch_size) if validates else None

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch, from 0, the next iteration over the batches is."""
        self._epoch = epoch
        self._current.epoch = epoch

    def training_batches(self, batch_size: int, *, shuffle: bool = True) -> tf.data.Dataset:
        self._current = TrainingBatches(self._data, batch_size, self._seed, self._form, shuffle=shuffle)
        self._current.epoch = self._epoch
        return self._part(self._current.dataset)

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        return self._part(evaluation_batches(self._data, batch_size, self._form))

    def arrays(self, split: str) -> tuple[Any, ...]:
        """``(x,)``, ``(x, y)`` or ``(x, y, weights)`` of a split, in its order, in memory."""
        count = self.batch_size if self._first_batch_only else len(self._data.split(split))
        if split == "train":
            dataset = TrainingBatches(self._data, count, self._seed, self._form, shuffle=False).dataset
        else:
            dataset = evaluation_batches(self._data, count, self._form, split)
        whole = next(iter(dataset))
        arrays = keras.tree.map_structure(lambda tensor: tensor.numpy(), whole)
        return arrays if isinstance(arrays, tuple) else (arrays,)

    def _part(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        return batches.take(1) if self._first_batch_only else batches


@dataclass
class Fitting:
    """One call of a search space's ``fit``.

    Attributes:
        keywords: what ``fit`` is given besides the data.
        callbacks: those that must see the training, whatever ``fit`` does with the keyword.
        most_epochs: ``fit`` may ask for fewer.
        arrange: the order of the callbacks that a ``fit`` of Keras gets, those that the space has added among them.
    """

    space: keras_tuner.HyperModel
    hp: keras_tuner.HyperParameters
    network: keras.Model
    data: TrainingData
    epochs: int
    callbacks: Sequence[keras.callbacks.Callback]
    initial_epoch: int = 0
    verbose: int = 0
    most_epochs: int | None = None
    arrange: Callable[[Sequence[keras.callbacks.Callback]], list[keras.callbacks.Callback]] = list
    _withheld: dict[str, Any] = field(default_factory=dict, init=False)
    _has_begun: bool = field(default=False, init=False)
    _x: Any = field(default=None, init=False)
    _validation: Any = field(default=None, init=False)

    def run(self) -> Any:
        """What the space's ``fit`` returns.

        A keyword that it gives to ``model.fit`` itself goes before ours: where it passes on ours too, Python refuses
        the call before anything is trained, and ``fit`` is called again without it.

        Raises:
            Exception: whatever it raises.
        """
        arguments, keywords = self._arguments()
        # Keras makes it in its own `fit`; callbacks look at it in a loop of the space's own too.
        self.network.stop_training = False
        with self._honouring():
            while True:
                try:
                    return self.space.fit(self.hp, self.network, *arguments, **_fresh(keywords))
                except TypeError as error:
                    twice = _GIVEN_TWICE.search(str(error))
                    if twice is None or twice[1] not in keywords or self._has_begun:
                        raise
                    self._withheld[twice[1]] = keywords.pop(twice[1])

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """The data by position and the rest by name, as far as ``fit`` takes it; what it does not take is withheld."""
        parameters = list(inspect.signature(self.space.fit).parameters.values())[2:]
        takes_any = any(each.kind is _KINDS.VAR_KEYWORD for each in parameters)
        named = {each.name: each for each in parameters if each.kind not in (_KINDS.VAR_KEYWORD, _KINDS.VAR_POSITIONAL)}
        known = self._keywords(named)
        arguments = self._examples(parameters, known)
        keywords = {}
        for name, value in known.items():
            if takes_any or name in named:
                keywords[name] = value
            else:
                self._withheld[name] = value
        if "sample_weight" in self._withheld:
            raise TypeError(
                "the data has weights, and the space's fit takes arrays without them: "
                "give it a parameter sample_weight, or **kwargs"
            )
        return arguments, keywords

    def _keywords(self, named: dict[str, inspect.Parameter]) -> dict[str, Any]:
        known: dict[str, Any] = {
            "epochs": self.epochs,
            "initial_epoch": self.initial_epoch,
            "callbacks": list(self.callbacks),
            "verbose": self.verbose,
        }
        if self.data.validation is not None or _is_required(named.get("validation_data")):
            known["validation_data"] = self.data.validation
        if _is_required(named.get("batch_size")):
            known["batch_size"] = self.data.batch_size
        return known

    def _examples(self, parameters: Sequence[inspect.Parameter], known: dict[str, Any]) -> list[Any]:
        free = [each for each in parameters if each.name not in known and each.name not in ("args", "kwargs")]
        places = [each for each in free if each.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)]
        by_name = {each.name for each in free if each.kind is _KINDS.KEYWORD_ONLY}
        labels = places[1] if len(places) > 1 else None
        wants_arrays = "y" in by_name or (labels is not None and _takes_labels(labels))
        if wants_arrays:
            self._give_arrays(known)
            if "y" not in by_name:
                y = known.pop("y", None)
                return [known.pop("x"), y]
            return []
        self._x, self._validation = self.data.batches, self.data.validation
        takes_more = any(each.kind is _KINDS.VAR_POSITIONAL for each in parameters)
        if places or takes_more:
            return [self._x]
        known["x"] = self._x
        return []

    def _give_arrays(self, known: dict[str, Any]) -> None:
        x, *rest = self.data.arrays("train")
        self._x = x
        known |= dict(zip(("x", "y", "sample_weight"), (x, *rest), strict=False))
        if self.data.validation is not None:
            self._validation = known["validation_data"] = self.data.arrays("validation")

    @contextmanager
    def _honouring(self) -> Iterator[None]:
        """Within the block, ``model.fit`` with the data that it was given here does what its keywords say.

        Keras itself leaves the size and the order of a dataset's batches as they are, without a word.
        """
        # Of the class: a `fit` of a model's own, or of a model around this one, comes by here too.
        owner = next(each for each in keras.Model.__mro__ if "fit" in vars(each))
        fit = vars(owner)["fit"]

        def fit_as_asked(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
            given = _KERAS_FIT.bind(model, *args, **kwargs).arguments
            self._has_begun = True
            ours = given.get("x") is self._x
            if ours:
                self._size_batches(given)
            if ours or model is self.network:
                self._give_withheld(given)
            if given.get("callbacks"):
                given["callbacks"] = self.arrange(keras.tree.flatten(given["callbacks"]))
            del given[next(iter(_KERAS_FIT.parameters))]
            return fit(model, **given)

        owner.fit = fit_as_asked
        try:
            yield
        finally:
            owner.fit = fit

    def _size_batches(self, given: dict[str, Any]) -> None:
        if self._x is not self.data.batches:
            given.setdefault("batch_size", self.data.batch_size)
            return
        size, shuffle = given.pop("batch_size", None), given.pop("shuffle", None)
        if size is not None or shuffle is not None:
            given["x"] = self.data.training_batches(size or self.data.batch_size, shuffle=shuffle in (None, True))
        size = given.pop("validation_batch_size", None) or size
        if size is not None and self._validation is not None and given.get("validation_data") is self._validation:
            given["validation_data"] = self.data.validation_batches(size)

    def _give_withheld(self, given: dict[str, Any]) -> None:
        withheld = dict(self._withheld)
        for callback in withheld.pop("callbacks", ()):
            callbacks = keras.tree.flatten(given.get("callbacks") or [])
            if callback not in callbacks:
                given["callbacks"] = [*callbacks, callback]
        given |= {
            name: value for name, value in withheld.items() if name not in given and name in _KERAS_FIT.parameters
        }
        if self.most_epochs is not None:
            given["epochs"] = min(given.get("epochs", 1), self.most_epochs)
            # Else a look at one epoch would not see the validation of every second one.
            given.pop("validation_freq", None)


def _fresh(keywords: dict[str, Any]) -> dict[str, Any]:
    """Keywords of which a ``fit`` that is called again does not have what it did to those of the first call."""
    return {name: list(value) if isinstance(value, list) else value for name, value in keywords.items()}


def _takes_labels(parameter: inspect.Parameter) -> bool:
    """Whether the second thing that ``fit`` takes by its place are the labels beside an array of inputs."""
    if parameter.name in _KERAS_FIT.parameters:
        return parameter.name == "y"
    return _is_required(parameter)


def _is_required(parameter: inspect.Parameter | None) -> bool:
    return parameter is not None and parameter.default is _KINDS.empty
