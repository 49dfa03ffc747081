"""The first tables: studies, leases, trials, workers, epochs, champions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.columns import FiniteDouble, Json, LongText, UtcDateTime
from storage.migrations.steps import TABLE, create_index

revision = "0001"
down_revision = None


def upgrade() -> None:
    _studies()
    _leases()
    _trials()
    _workers()
    _epochs()
    _champions()


def _studies() -> None:
    op.create_table(
        "tuner_studies",
        sa.Column("study_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.Column("fingerprint", sa.String(128), nullable=False),
        sa.Column("artifacts", LongText, nullable=False),
        sa.Column("objectives", Json, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", LongText),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("deadline", UtcDateTime),
        sa.Column("versions", Json, nullable=False),
        sa.Column("space", Json, nullable=False),
        sa.UniqueConstraint("name", name="tuner_studies_name"),
        **TABLE,
    )


def _leases() -> None:
    op.create_table(
        "tuner_leases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("trial_id", sa.Integer),
        sa.Column("number", sa.Integer),
        sa.Column("preset", Json),
        sa.Column("resume", Json),
        sa.Column("worker_id", sa.String(128)),
        sa.Column("acquired_at", UtcDateTime),
        sa.Column("expires_at", UtcDateTime),
        sa.ForeignKeyConstraint(["study_id"], ["tuner_studies.study_id"], name="tuner_leases_study"),
        sa.UniqueConstraint("study_id", "ordinal", name="tuner_leases_ordinal"),
        sa.UniqueConstraint("trial_id", name="tuner_leases_trial"),
        **TABLE,
    )
    create_index("tuner_leases_next", "tuner_leases", ["study_id", "state", "rank", "ordinal"])
    create_index("tuner_leases_expiry", "tuner_leases", ["study_id", "state", "expires_at"])


def _trials() -> None:
    op.create_table(
        "tuner_trials",
        sa.Column("trial_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("lease_id", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("cause", LongText),
        sa.Column("reason", LongText),
        sa.Column("traceback", LongText),
        sa.Column("value", FiniteDouble),
        sa.Column("best_epoch", sa.Integer),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("seconds", FiniteDouble, nullable=False),
        sa.Column("parameters", sa.Integer),
        sa.Column("checkpoint", LongText),
        sa.Column("log", LongText),
        sa.Column("closed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["lease_id"], ["tuner_leases.id"], name="tuner_trials_lease_id"),
        sa.UniqueConstraint("lease_id", name="tuner_trials_lease"),
        **TABLE,
    )
    create_index("tuner_trials_closed", "tuner_trials", ["study_id", "closed_at"])
    create_index("tuner_trials_outcome", "tuner_trials", ["study_id", "outcome"])


def _workers() -> None:
    op.create_table(
        "tuner_workers",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("gpus", Json, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("left_at", UtcDateTime),
        **TABLE,
    )
    create_index("tuner_workers_study", "tuner_workers", ["study_id", "started_at"])


def _epochs() -> None:
    op.create_table(
        "tuner_epochs",
        sa.Column("trial_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("metrics", Json, nullable=False),
        sa.Column("seconds", FiniteDouble, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        **TABLE,
    )


def _champions() -> None:
    op.create_table(
        "tuner_champions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("path", LongText, nullable=False),
        sa.Column("value", FiniteDouble),
        sa.Column("verification", Json, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("study_id", "version", name="tuner_champions_version"),
        **TABLE,
    )
