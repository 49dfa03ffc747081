"""In what a model computes, as far as that decides how exact its outputs are."""

from __future__ import annotations

from math import prod

import keras

from tuner.champion.records.arithmetic import Arithmetic

_LOW = ("bfloat16", "float16")
# Rows are looked up in it, not added up.
_LOOKED_UP = "embeddings"


def arithmetic_of(model: keras.Model) -> Arithmetic:
    """Of a built model, whose weights of two dimensions and more are multiplied, and added up over all but one."""
    weights = [each for each in model.weights if len(each.shape) > 1 and each.name != _LOOKED_UP]
    precisions = {layer.compute_dtype for layer in model._flatten_layers()}
    return Arithmetic(
        layers=len(weights),
        terms=sum(prod(each.shape[:-1]) for each in weights),
        precision=next((low for low in _LOW if low in precisions), "float32"),
    )
