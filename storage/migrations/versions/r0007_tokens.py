"""Who may use the service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import UtcDateTime
from storage.migrations.steps import TABLE

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "tuner_tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("used_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.UniqueConstraint("name", name="tuner_tokens_name"),
        sa.UniqueConstraint("sha256", name="tuner_tokens_sha256"),
        **TABLE,
    )
