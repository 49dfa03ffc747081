"""Which engines were told to run workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import Json, UtcDateTime
from storage.migrations.steps import TABLE

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "tuner_launches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("wanted", Json, nullable=False),
        sa.Column("handle", Json),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("stopped_at", UtcDateTime),
        sa.UniqueConstraint("study_id", "number", name="tuner_launches_number"),
        **TABLE,
    )
