"""How far two computations of one model may be apart: what follows from its arithmetic, and no more.

A sum of n products in arithmetic of unit roundoff u is off by about sqrt(n) u of its size, since errors are as often
positive as negative (Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019); so are the layers
of a model together, n being all of their terms. Operands that are rounded to fewer bits first, as by a GPU's tensor
cores or in mixed precision, add an error of their own in each layer, whatever n is. Where the same kernels round them
alike, as on one device in one process, that error is in both computations and no difference.
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

from pydantic import BaseModel, ConfigDict

Device = Literal["cpu", "gpu"]
_FLOAT32 = 2.0**-24
# By the precision of a layer's operands. GPUs multiply float32 with the ten bits of TensorFloat-32.
_OPERANDS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
_TENSOR_FLOAT32 = 2.0**-11
# A logit of 30 is an exponent, which makes an error 30 times as large; few models are surer of anything.
_AMPLIFIED = 32.0
# Both computations round the same operands alike unless they use different kernels.
_OTHER_KERNELS = 4.0
# Preprocessing and activations add up too, in models of hardly any weights.
_FEWEST_TERMS = 64
# Whatever the arithmetic, more than this is another model.
_MOST = 1e-2
# A softmax or sigmoid in float32, which differs from an exact one by 0.0000002 at most where it was measured.
_MEANT = 1e-5
# Of a logit, its last bits: two signatures may fuse the addition of a bias otherwise.
_LAST_BITS = 2.0**-21


class Arithmetic(BaseModel):
    """In what a model computes.

    Attributes:
        layers: how many of its weights are multiplied and added up.
        terms: of all of these sums together.
        precision: the lowest in which a layer computes, as Keras calls it.
    """

    model_config = ConfigDict(frozen=True)

    layers: int
    terms: int
    precision: str = "float32"

    def allowed(self, device: Device, largest: float) -> float:
        """The largest difference between outputs that is rounding, absolute.

        Args:
            largest: output; those that are probabilities or smaller count as 1.
        """
        operands = _OPERANDS.get(self.precision, _TENSOR_FLOAT32 if device == "gpu" else 0.0)
        relative = self._of_sums + _OTHER_KERNELS * sqrt(max(self.layers, 1)) * operands
        return min(relative, _MOST) * max(1.0, largest)

    def allowed_alike(self, largest: float) -> float:
        """``allowed`` of two computations on one device in one process, whose batches may be of different sizes.

        Outputs in half precision may be the neighbours of each other, two units of roundoff apart.
        """
        return min(self._of_sums + 2 * _OPERANDS.get(self.precision, 0.0), _MOST) * max(1.0, largest)

    @property
    def _of_sums(self) -> float:
        return _AMPLIFIED * sqrt(max(self.terms, _FEWEST_TERMS)) * _FLOAT32


def allowed_of_meaning(largest: float) -> float:
    """How far probabilities may be from what outputs mean that were computed alike, absolute, whatever the model.

    Args:
        largest: of the outputs.
    """
    return max(_MEANT, _LAST_BITS * largest)
