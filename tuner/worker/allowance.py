"""What is said of a study's ``budget``."""

from __future__ import annotations

from storage.spending import Allowance


def why_used_up(allowance: Allowance) -> str:
    """Why a study ends, of whose budget nothing is left."""
    what = f"{allowance.total} epochs" if allowance.unit == "epochs" else f"{allowance.total:g} s of training"
    return f"the budget of {what} is used up"
