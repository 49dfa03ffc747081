"""What trials had reached at rungs, and what of a budget each lease has taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import FiniteDouble, Json
from storage.migrations.steps import TABLE, add_column, create_index

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "tuner_rungs",
        sa.Column("trial_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(255)),
        sa.Column("losses", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("result", Json),
        **TABLE,
    )
    create_index("tuner_rungs_study", "tuner_rungs", ["study_id"])
    add_column("tuner_leases", sa.Column("spent", FiniteDouble))
