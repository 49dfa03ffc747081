"""What stays of a study's models."""

from __future__ import annotations

import pytest

from tuner.worker.closing import how_many_are_kept

MB = 1_000_000


@pytest.mark.fast
@pytest.mark.parametrize(
    ("asked", "sizes", "kept"),
    [
        (None, [MB] * 30, 20),
        (None, [MB] * 12, 12),
        (None, [200 * MB] * 9, 5),
        (None, [60 * MB] * 20, 8),
        (None, [60 * MB, *[None] * 9], 5),
        (2, [MB] * 9, 2),
        (9, [900 * MB] * 12, 9),
    ],
)
def test_the_best_models_are_kept_and_further_ones_where_they_are_small(asked, sizes, kept, make_spec):
    spec = make_spec(**({} if asked is None else {"keep_checkpoints": asked}))
    assert min(how_many_are_kept(spec, sizes), len(sizes)) == kept
