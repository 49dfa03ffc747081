"""Linear models of sparse features, solved exactly, from strong to weak regularization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Loss = Literal["softmax", "sigmoid", "squares"]

# Added to what each class has of a token, so that none has nothing.
_SMOOTHING = 0.1
# Of one step along the path; each begins where the one before ended.
_MOST_STEPS = 40
_HISTORY = 6


@dataclass(frozen=True)
class SparseExamples:
    """Training examples.

    Attributes:
        x: scipy's CSR matrix, float32 (examples, features).
        y: float32 (examples, outputs): of ``softmax`` and ``sigmoid`` 0 or 1, of ``squares`` numbers of mean 0 and
            variance 1.
        weights: float32 (examples,).
    """

    x: Any
    y: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]


def log_count_ratios(examples: SparseExamples) -> npt.NDArray[np.float32]:
    """How much more often a feature stands in examples of an output than in the others', as a logarithm.

    Returns:
        float32 (features, outputs). A linear model of features that are multiplied by them learns the more of a
        feature the better it tells the classes apart: Wang and Manning, Baselines and Bigrams, ACL 2012.
    """
    there, all_there = examples.x.T @ examples.y, np.asarray(examples.x.sum(axis=0)).reshape(-1, 1)
    inside, outside = there + _SMOOTHING, all_there - there + _SMOOTHING
    return np.log((inside / inside.sum(axis=0)) / (outside / outside.sum(axis=0))).astype(np.float32)


class LinearPath:
    """A linear model that is solved again and again, each time with less regularization.

    It minimizes the weighted mean loss plus ``penalty / 2 * |u|^2``, where ``u * scales`` are its weights; the bias is
    free.

    Args:
        scales: float32 (features, outputs), or (1, 1) where all features count alike.

    Attributes:
        weights: float32 (features, outputs).
        bias: float32 (outputs,).
    """

    def __init__(self, examples: SparseExamples, loss: Loss, scales: npt.NDArray[np.float32]) -> None:
        self._examples, self._loss, self._scales = examples, loss, scales
        self._shape = (examples.x.shape[1], examples.y.shape[1])
        self._transposed = examples.x.T.tocsr()
        self._share = (examples.weights / examples.weights.sum()).reshape(-1, 1)
        self._solution = np.zeros(self._shape[0] * self._shape[1] + self._shape[1])

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        return (self._parts(self._solution)[0] * self._scales).astype(np.float32)

    @property
    def bias(self) -> npt.NDArray[np.float32]:
        return self._parts(self._solution)[1].astype(np.float32)

    def solve(self, penalty: float) -> None:
        """Solves it once more, from the last solution on."""
        from scipy.optimize import minimize

        options = {"maxiter": _MOST_STEPS, "maxcor": _HISTORY, "ftol": 1e-6}
        found = minimize(self._value, self._solution, (penalty,), "L-BFGS-B", jac=True, options=options)
        self._solution = found.x

    def _parts(self, solution: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        outputs = self._shape[1]
        u, bias = solution[:-outputs].reshape(self._shape), solution[-outputs:]
        return u.astype(np.float32), bias.astype(np.float32)

    def _value(self, solution: npt.NDArray[np.float64], penalty: float) -> tuple[float, npt.NDArray[np.float64]]:
        u, bias = self._parts(solution)
        losses, slopes = _LOSSES[self._loss](self._examples.x @ (u * self._scales) + bias, self._examples.y)
        slopes = slopes * self._share
        value = float((losses * self._share[:, 0]).sum()) + penalty / 2 * float(np.vdot(u, u))
        of_u = (self._transposed @ slopes) * self._scales + penalty * u
        return value, np.concatenate([of_u.reshape(-1), slopes.sum(axis=0)]).astype(np.float64)


def _softmax(scores: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    scores = scores - scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    sums = shares.sum(axis=1, keepdims=True)
    return np.log(sums[:, 0]) - (scores * y).sum(axis=1), shares / sums - y


def _sigmoid(scores: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    losses = np.logaddexp(0.0, scores) - scores * y
    return losses.sum(axis=1), 1 / (1 + np.exp(-np.clip(scores, -60, 60))) - y


def _squares(scores: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    return ((scores - y) ** 2).sum(axis=1) / 2, scores - y


_LOSSES = {"softmax": _softmax, "sigmoid": _sigmoid, "squares": _squares}
