"""What YAML would let pass and a spec must not."""

from __future__ import annotations

import pytest

from tuner.errors import SpecError
from tuner.spec.reading import load_spec
from tuner.spec.search_spec import MOST_IN_TIME

BASE = "study: s\ndata: {kind: image_directory, path: .}\nspace: image\nobjective: val_accuracy\n"


@pytest.mark.parametrize(
    ("lines", "most"),
    [
        ("", 30),
        ("budget: {epochs: null}", 30),
        ("budget: {epochs: null, trial_time: null}", 30),
        ("budget: {epochs: 5}", MOST_IN_TIME),
        ("budget: {trial_time: 2h}", MOST_IN_TIME),
        ("timeout: 2h", MOST_IN_TIME),
        ("timeout: null", 30),
    ],
)
def test_there_are_as_many_trials_as_there_is_time_for_only_where_time_is_limited(lines, most, tmp_path):
    (tmp_path / "spec.yaml").write_text(BASE + lines)
    spec = load_spec(tmp_path / "spec.yaml")
    assert spec.trials == most
    assert spec.budget.is_limited == ("5" in lines or "trial_time: 2h" in lines)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("trials: true", "trials: must be an integer"),
        ("trials: '3'", "trials: must be an integer"),
        ("trials: 3000000000", "trials: must be less than or equal to 1000000"),
        ("timeout: 99999d", "timeout: must be less than or equal to 315360000"),
        ("resources: {slots: true}", "resources.slots: must be an integer, or 'auto'"),
        ("trials: 2\ntrials: 1", "the key 'trials' is given twice"),
        ("training: {epochs: 1, epochs: 2}", "the key 'epochs' is given twice"),
    ],
)
def test_values_that_would_be_taken_for_others_are_refused(lines, said, tmp_path):
    (tmp_path / "spec.yaml").write_text(BASE + lines)
    with pytest.raises(SpecError, match=r"spec\.yaml") as refused:
        load_spec(tmp_path / "spec.yaml")
    assert said in str(refused.value)
