"""Disrupts a real study and checks that nothing was lost: ``scripts/chaos``, and its short version in the tests."""
