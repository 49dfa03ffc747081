"""Builds the networks of the structured space, of Keras's own layers only: a saved model loads anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from search_spaces.base import Target
from search_spaces.tables.config import Network, Numbers, StructuredConfig
from search_spaces.tables.periodic import waves_of
from search_spaces.tables.preprocessing import Preprocessing
from search_spaces.tables.realmlp import realmlp
from search_spaces.tables.tabm import ensemble
from search_spaces.targets import output_layers

# With a few dozen steps in an epoch, Keras's 0.99 leaves the moving statistics behind for epochs.
_BATCH_NORM_MOMENTUM = 0.9
# Wider features are crossed through fewer numbers, as DCN v2 does.
_FULL_RANK, _LOW_RANK = 256, 64
_CROSS_SIZE = 4


def assemble(config: StructuredConfig, preprocessing: Preprocessing, target: Target) -> keras.Model:
    """An uncompiled model from what the preprocessing gives to what ``output_layers`` gives."""
    given = {
        key: layers.Input(tensor.shape[1:], dtype=tensor.dtype, name=key)
        for key, tensor in preprocessing.model.output.items()
    }
    parts = _parts(given, preprocessing, config)
    x = _joined(parts)
    if config.family == "tabm" and config.network is not None:
        return keras.Model(given, ensemble(x, config.network, target), name=config.family)
    if config.network is not None:
        wide = (
            _joined([x, _embedded(given["crossed"], preprocessing.codes["crossed"], _CROSS_SIZE)])
            if "crossed" in given
            else x
        )
        x = _BODIES[config.family](x, wide, config.network)
    return keras.Model(given, output_layers(target, x), name=config.family)


def _parts(given: dict[str, Any], preprocessing: Preprocessing, config: StructuredConfig) -> list[Any]:
    parts = _floats(given["floats"], preprocessing.numbers, config.numbers) if "floats" in given else []
    if "one_hot" in given:
        parts.append(layers.CategoryEncoding(preprocessing.codes["one_hot"], "multi_hot")(given["one_hot"]))
    if "embedded" in given and config.categories is not None:
        size = config.categories.embedding_size
        parts.append(_embedded(given["embedded"], preprocessing.codes["embedded"], size))
    return parts


def _floats(floats: Any, count: int, numbers: Numbers | None) -> list[Any]:
    if numbers is None or numbers.encoding != "periodic" or not count:
        return [floats]
    waves = waves_of(floats[:, :count], numbers.frequency)
    return [waves] if count == floats.shape[-1] else [waves, floats[:, count:]]


def _embedded(codes: Any, count: int, size: int) -> Any:
    return layers.Flatten()(layers.Embedding(count, size)(codes))


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else layers.Concatenate()(parts)


def _mlp(x: Any, wide: Any, network: Network) -> Any:
    for _ in range(network.layers):
        x = _activated(layers.Dense(network.units)(x), network)
        x = _dropped(x, network)
    return x


def _realmlp(x: Any, wide: Any, network: Network) -> Any:
    return realmlp(x, network)


def _residual(x: Any, wide: Any, network: Network) -> Any:
    x = layers.Dense(network.units)(x)
    for _ in range(network.layers):
        y = layers.Dense(network.units)(_normalized(x, network))
        y = _dropped(layers.Activation(network.activation)(y), network)
        x = layers.Add()([x, layers.Dense(network.units)(y)])
    return _activated(x, network)


def _wide_and_deep(x: Any, wide: Any, network: Network) -> Any:
    return layers.Concatenate()([wide, _mlp(x, wide, network)])


def _cross(x: Any, wide: Any, network: Network) -> Any:
    crossed = x
    for _ in range(network.cross_layers):
        # x0 * (W x + b) + x: each layer adds one to the degree of the polynomials.
        crossed = layers.Add()([layers.Multiply()([x, _mixed(crossed)]), crossed])
    return layers.Concatenate()([_normalized(crossed, network), _mlp(x, wide, network)])


def _mixed(x: Any) -> Any:
    width = x.shape[-1]
    if width > _FULL_RANK:
        x = layers.Dense(_LOW_RANK, use_bias=False)(x)
    return layers.Dense(width)(x)


def _activated(x: Any, network: Network) -> Any:
    return layers.Activation(network.activation)(_normalized(x, network))


def _normalized(x: Any, network: Network) -> Any:
    if network.normalization == "batch":
        return layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    return layers.LayerNormalization()(x) if network.normalization == "layer" else x


def _dropped(x: Any, network: Network) -> Any:
    return layers.Dropout(network.dropout)(x) if network.dropout else x


_BODIES: dict[str, Callable[[Any, Any, Network], Any]] = {
    "mlp": _mlp,
    "realmlp": _realmlp,
    "residual": _residual,
    "wide_and_deep": _wide_and_deep,
    "cross": _cross,
}
