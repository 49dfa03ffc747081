"""What a trial was measured by besides its value, and how far it is beyond the study's constraints."""

from __future__ import annotations

import sqlalchemy as sa

from storage.columns import FiniteDouble, Json
from storage.migrations.steps import add_column

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    add_column("tuner_trials", sa.Column("measures", Json))
    add_column("tuner_trials", sa.Column("violation", FiniteDouble))
