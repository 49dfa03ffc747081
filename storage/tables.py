"""What must not be lost and Optuna does not keep: one typed model per table.

Every table is prefixed ``tuner_`` and has metadata of its own, so that Optuna's tables in the same database stay
Optuna's. ``study_id`` and ``trial_id`` are Optuna's ids, without foreign keys into its tables. Times are aware, UTC,
by the database's clock. A change here needs a new revision in ``storage/migrations/versions``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.columns import FiniteDouble, Json, LongText, UtcDateTime

# utf8mb4_bin compares names exactly, as the other databases do.
_OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


class Base(DeclarativeBase):
    pass


class StudyRow(Base):
    """One search: its spec, what it is about and where it stands."""

    __tablename__ = "tuner_studies"
    __table_args__ = (UniqueConstraint("name", name="tuner_studies_name"), _OPTIONS)

    study_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255))
    spec: Mapped[Any] = mapped_column(Json)
    summary: Mapped[Any] = mapped_column(Json)
    fingerprint: Mapped[str] = mapped_column(String(128))
    artifacts: Mapped[str] = mapped_column(LongText)
    objectives: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(LongText)
    budget: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    versions: Mapped[Any] = mapped_column(Json)
    space: Mapped[Any] = mapped_column(Json)


class LeaseRow(Base):
    """One unit of a study's budget. ``state`` is open, held, paused or closed; ``rank`` orders the open ones.

    ``rank`` is 0 with a trial to go on with, 1 with a preset, 2 otherwise: stored, so that the next lease is read
    from the index alone. ``spent`` is what its trial has taken of a budget of epochs or seconds.
    """

    __tablename__ = "tuner_leases"
    __table_args__ = (
        UniqueConstraint("study_id", "ordinal", name="tuner_leases_ordinal"),
        UniqueConstraint("trial_id", name="tuner_leases_trial"),
        Index("tuner_leases_next", "study_id", "state", "rank", "ordinal"),
        Index("tuner_leases_expiry", "study_id", "state", "expires_at"),
        _OPTIONS,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("tuner_studies.study_id", name="tuner_leases_study"))
    ordinal: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    rank: Mapped[int] = mapped_column(Integer)
    token: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    trial_id: Mapped[int | None] = mapped_column(Integer)
    number: Mapped[int | None] = mapped_column(Integer)
    preset: Mapped[Any | None] = mapped_column(Json)
    resume: Mapped[Any | None] = mapped_column(Json)
    worker_id: Mapped[str | None] = mapped_column(String(128))
    acquired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    spent: Mapped[float | None] = mapped_column(FiniteDouble)


class RungRow(Base):
    """What a trial had reached at a rung of epochs: ``losses`` of the objectives, less is better.

    ``state`` is ``arrived`` until the trial goes on (``passed``) or is paused (``paused``, then ``promoted``). Of a
    paused trial ``result`` is what it comes to unless it goes on. Trials are compared with those of their ``kind``.
    """

    __tablename__ = "tuner_rungs"
    __table_args__ = (Index("tuner_rungs_study", "study_id"), _OPTIONS)

    trial_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    study_id: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str | None] = mapped_column(String(255))
    losses: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    result: Mapped[Any | None] = mapped_column(Json)


class TrialRow(Base):
    """The result of a closed lease's trial."""

    __tablename__ = "tuner_trials"
    __table_args__ = (
        UniqueConstraint("lease_id", name="tuner_trials_lease"),
        Index("tuner_trials_closed", "study_id", "closed_at"),
        Index("tuner_trials_outcome", "study_id", "outcome"),
        _OPTIONS,
    )

    trial_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    study_id: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer)
    lease_id: Mapped[int] = mapped_column(ForeignKey("tuner_leases.id", name="tuner_trials_lease_id"))
    outcome: Mapped[str] = mapped_column(String(32))
    cause: Mapped[str | None] = mapped_column(LongText)
    reason: Mapped[str | None] = mapped_column(LongText)
    traceback: Mapped[str | None] = mapped_column(LongText)
    value: Mapped[float | None] = mapped_column(FiniteDouble)
    best_epoch: Mapped[int | None] = mapped_column(Integer)
    metrics: Mapped[Any] = mapped_column(Json)
    epochs: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(FiniteDouble)
    parameters: Mapped[int | None] = mapped_column(Integer)
    checkpoint: Mapped[str | None] = mapped_column(LongText)
    checkpoint_size: Mapped[int | None] = mapped_column(BigInteger)
    checkpoint_sha256: Mapped[str | None] = mapped_column(String(64))
    log: Mapped[str | None] = mapped_column(LongText)
    measures: Mapped[Any | None] = mapped_column(Json)
    violation: Mapped[float | None] = mapped_column(FiniteDouble)
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerRow(Base):
    """One worker process, alive while ``seen_at`` is recent and ``left_at`` is empty."""

    __tablename__ = "tuner_workers"
    __table_args__ = (Index("tuner_workers_study", "study_id", "started_at"), _OPTIONS)

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    study_id: Mapped[int] = mapped_column(Integer)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    slots: Mapped[int] = mapped_column(Integer)
    gpus: Mapped[Any] = mapped_column(Json)
    version: Mapped[str] = mapped_column(String(64))
    versions: Mapped[Any | None] = mapped_column(Json)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    left_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LaunchRow(Base):
    """An engine that was told to run workers of a study; ``handle`` is what the engine finds them by."""

    __tablename__ = "tuner_launches"
    __table_args__ = (UniqueConstraint("study_id", "number", name="tuner_launches_number"), _OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    study_id: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer)
    engine: Mapped[str] = mapped_column(String(32))
    wanted: Mapped[Any] = mapped_column(Json)
    handle: Mapped[Any | None] = mapped_column(Json)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class EpochRow(Base):
    """Every metric of one epoch of a trial. ``run`` is the token of the lease of the attempt that wrote it."""

    __tablename__ = "tuner_epochs"
    __table_args__ = (_OPTIONS,)

    trial_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    study_id: Mapped[int] = mapped_column(Integer)
    metrics: Mapped[Any] = mapped_column(Json)
    seconds: Mapped[float] = mapped_column(FiniteDouble)
    run: Mapped[int | None] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChampionRow(Base):
    """An exported model and its verification; ``version`` counts a study's exports from 1.

    ``digest``, ``size`` and ``files`` are of the export in the study's artifacts; empty where only ``path`` is known.
    """

    __tablename__ = "tuner_champions"
    __table_args__ = (
        UniqueConstraint("study_id", "version", name="tuner_champions_version"),
        _OPTIONS,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    study_id: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(LongText)
    value: Mapped[float | None] = mapped_column(FiniteDouble)
    verification: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    digest: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int | None] = mapped_column(BigInteger)
    files: Mapped[Any | None] = mapped_column(Json)


class AliasRow(Base):
    """A name that points to one champion of the database."""

    __tablename__ = "tuner_champion_aliases"
    __table_args__ = (_OPTIONS,)

    alias: Mapped[str] = mapped_column(String(64), primary_key=True)
    champion_id: Mapped[int] = mapped_column(Integer)


class AliasChangeRow(Base):
    """Who pointed an alias from which champion to which; never changed."""

    __tablename__ = "tuner_champion_alias_changes"
    __table_args__ = (Index("tuner_champion_alias_changes_alias", "alias", "id"), _OPTIONS)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    alias: Mapped[str] = mapped_column(String(64))
    from_champion: Mapped[int | None] = mapped_column(Integer)
    to_champion: Mapped[int] = mapped_column(Integer)
    who: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class TokenRow(Base):
    """Who may use the service: of the token itself only its SHA-256 is here."""

    __tablename__ = "tuner_tokens"
    __table_args__ = (
        UniqueConstraint("name", name="tuner_tokens_name"),
        UniqueConstraint("sha256", name="tuner_tokens_sha256"),
        _OPTIONS,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PoolRow(Base):
    """The process of a pool: which studies it serves, and when it was last seen."""

    __tablename__ = "tuner_pools"
    __table_args__ = (_OPTIONS,)

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    studies: Mapped[str] = mapped_column(String(255))
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
