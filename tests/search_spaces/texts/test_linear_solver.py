"""Linear models of sparse features."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from search_spaces.texts.linear_solver import LinearPath, Loss, SparseExamples, log_count_ratios

ROWS, FEATURES = 300, 40


def _examples(loss: Loss, outputs: int) -> SparseExamples:
    draw = np.random.default_rng(0)
    x = csr_matrix(random_array((ROWS, FEATURES), density=0.3, rng=draw), dtype=np.float32)
    scores = x @ draw.normal(0, 2, (FEATURES, outputs)) + draw.normal(0, 0.5, (ROWS, outputs))
    if loss == "softmax":
        y = np.eye(outputs)[scores.argmax(axis=1)]
    else:
        y = (scores > 0) if loss == "sigmoid" else scores / scores.std(axis=0)
    return SparseExamples(x, np.asarray(y, np.float32), draw.choice([1, 2], ROWS).astype(np.float32))


@pytest.mark.parametrize(("loss", "outputs"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 2), ("squares", 2)])
def test_a_solution_is_that_of_scikit_learn(loss: Loss, outputs: int) -> None:
    from sklearn.linear_model import LogisticRegression, Ridge

    examples, penalty = _examples(loss, outputs), 1e-2
    path = LinearPath(examples, loss, np.ones((1, 1), np.float32))
    for each in (1.0, 0.1, penalty, penalty):
        path.solve(each)
    scores = examples.x @ path.weights + path.bias
    whole = examples.weights.sum()
    for output in range(outputs):
        theirs = Ridge(penalty * whole) if loss == "squares" else LogisticRegression(C=1 / (penalty * whole), tol=1e-6)
        y = examples.y.argmax(axis=1) if loss == "softmax" else examples.y[:, output]
        theirs.fit(examples.x, y, sample_weight=examples.weights)
        expected = theirs.predict(examples.x) if loss == "squares" else theirs.decision_function(examples.x)
        if loss == "softmax":
            # Scores of classes say nothing but by their differences.
            ours = scores - scores.mean(axis=1, keepdims=True)
            np.testing.assert_allclose(ours, expected - expected.mean(axis=1, keepdims=True), atol=0.05)
        else:
            np.testing.assert_allclose(scores[:, output], expected, atol=0.05)


def test_ratios_tell_in_which_class_a_token_stands() -> None:
    x = csr_matrix(np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]], np.float32))
    y = np.array([[1], [1], [0], [0]], np.float32)
    ratios = log_count_ratios(SparseExamples(x, y, np.ones(4, np.float32)))
    assert ratios.shape == (3, 1)
    assert ratios[0, 0] > 1 > abs(ratios[2, 0]) and ratios[1, 0] == pytest.approx(-ratios[0, 0], abs=1e-6)


def test_less_regularization_gives_larger_weights() -> None:
    examples = _examples("sigmoid", 1)
    path = LinearPath(examples, "sigmoid", log_count_ratios(examples))
    lengths = []
    for penalty in (1.0, 1e-2, 1e-4):
        path.solve(penalty)
        lengths.append(float(np.linalg.norm(path.weights)))
    assert lengths == sorted(lengths) and lengths[0] > 0
