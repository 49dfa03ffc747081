"""What is known of columns that passed by in pieces."""

from __future__ import annotations

import numpy as np

from tuner.data.running_statistics import TargetMoments


def test_moments_of_a_target_do_not_depend_on_its_pieces() -> None:
    from scipy.stats import skew

    values = np.add(np.random.default_rng(0).exponential([1.0, 300.0], (1000, 2)), [0.5, 2.0])
    moments = TargetMoments((2,))
    for piece in np.split(values, [1, 1, 40, 900]):
        moments.add(piece)
    found = moments.stored()
    np.testing.assert_allclose(found["mean"], values.mean(axis=0))
    np.testing.assert_allclose(found["variance"], values.var(axis=0))
    np.testing.assert_allclose(found["least"], values.min(axis=0))
    np.testing.assert_allclose(found["skewness"], skew(values))


def test_a_constant_target_is_not_skewed() -> None:
    moments = TargetMoments()
    moments.add(np.full(5, 7.0))
    assert moments.stored() == {"mean": [7.0], "variance": [0.0], "least": [7.0], "skewness": [0.0]}
