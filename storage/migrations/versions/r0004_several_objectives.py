"""What a trial was measured by besides its value, and how far it is beyond the study's constraints."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.columns import FiniteDouble, Json

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _column("tuner_trials", sa.Column("measures", Json))
    _column("tuner_trials", sa.Column("violation", FiniteDouble))


def _column(table: str, column: sa.Column[Any]) -> None:
    # MySQL commits each change on its own: an upgrade that was interrupted finds some of them made.
    existing = sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in {each["name"] for each in existing}:
        op.add_column(table, column)
