"""Families of networks: which a space tries, and hyperparameters that only some of them have."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import keras_tuner


def only_for(
    hp: keras_tuner.HyperParameters, some: Sequence[str], families: Sequence[str]
) -> AbstractContextManager[None]:
    """The scope of hyperparameters that only ``some`` of a space's ``families`` have."""
    # A condition that always holds would only make names longer.
    return nullcontext() if set(some) == set(families) else hp.conditional_scope("family", list(some))
