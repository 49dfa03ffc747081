"""What keeps a bound, and by how much it does not."""

from __future__ import annotations

import math

import pytest

from tuner.spec.constraints import Constraint, broken, normal_comparison, parse_comparison, total_violation, violations


@pytest.mark.parametrize(
    ("text", "normal"),
    [("<= 1e6", "<= 1000000"), ("<1000000", "< 1000000"), (" >=  .5 ", ">= 0.5"), ("> -1.5e-7", "> -1.5e-07")],
)
def test_one_bound_is_written_in_one_way(text, normal):
    assert normal_comparison(text) == normal
    assert parse_comparison(normal) == parse_comparison(text)


@pytest.mark.parametrize("text", ["", "5", "== 5", "<= many", "<= 1e999", "=< 5", "<= 5 GB", 5, None, True])
def test_what_is_no_comparison_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match='in quotes: "<= 1e6"'):
        parse_comparison(text)


@pytest.mark.parametrize(
    ("operator", "kept", "violated"),
    [("<=", [10, 9, -1e9], [10.1]), ("<", [9.9], [10, 11]), (">=", [10, 11], [9.9]), (">", [10.1, 1e9], [10, 0])],
)
def test_an_operator_means_what_it_means_in_mathematics(operator, kept, violated):
    constraint = Constraint("x", operator, 10.0)
    assert all(constraint.violation(value) <= 0 for value in kept)
    assert all(constraint.violation(value) > 0 for value in violated)


def test_a_violation_is_a_share_of_the_bound_so_that_large_numbers_do_not_outweigh_small_ones():
    large, small = Constraint("parameters", "<=", 1e6), Constraint("val_loss", "<", 0.5)
    assert large.violation(1.5e6) == pytest.approx(small.violation(0.75)) == pytest.approx(0.5)
    assert Constraint("x", "<=", 0.0).violation(3.0) == 3.0
    assert violations([large, small], {"parameters": 2e6}) == {"parameters": 1.0}
    assert total_violation({"parameters": 1.0, "val_loss": -0.5}) == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_what_cannot_be_compared_is_violated_by_a_number_that_samplers_and_databases_take(value):
    amount = Constraint("val_loss", "<", 1e-9).violation(value)
    assert amount > 1e6 and math.isfinite(amount + amount)


def test_a_broken_constraint_is_said_with_its_value():
    limits = [Constraint("parameters", "<=", 1e6), Constraint("val_loss", "<", 0.5)]
    said = broken(limits, {"parameters": 1_200_000.0, "val_loss": 0.25})
    assert said == ["parameters is 1200000 but must be <= 1000000"]
