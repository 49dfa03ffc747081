"""A ledger of every write of an epoch, kept by triggers: which attempt wrote, and which one had the lease just then.

What a frozen worker writes after it woke may be gone a moment later, since the adopter writes the same epoch again.
Here it stays, and what the adopter itself writes is never taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from storage.database import Database

_TABLE = "CREATE TABLE chaos_writes (trial_id INTEGER, epoch INTEGER, run INTEGER, token INTEGER)"
_NOTE = (
    "INSERT INTO chaos_writes SELECT NEW.trial_id, NEW.epoch, NEW.run, tuner_leases.token "
    "FROM tuner_leases WHERE tuner_leases.trial_id = NEW.trial_id"
)
_EVENTS = ("INSERT", "UPDATE")
_TRIGGERS = {
    "sqlite": [f"CREATE TRIGGER chaos_{event} AFTER {event} ON tuner_epochs BEGIN {_NOTE}; END" for event in _EVENTS],
    "mysql": [f"CREATE TRIGGER chaos_{event} AFTER {event} ON tuner_epochs FOR EACH ROW {_NOTE}" for event in _EVENTS],
    "postgresql": [
        f"CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_NOTE}; RETURN NULL; END $$",
        "CREATE TRIGGER chaos AFTER INSERT OR UPDATE ON tuner_epochs FOR EACH ROW EXECUTE FUNCTION chaos_note()",
    ],
}


@dataclass(frozen=True)
class Write:
    """One write of an epoch.

    Attributes:
        run: the lease's token as the writer knew it.
        token: the lease's token when it was written.
    """

    trial_id: int
    epoch: int
    run: int
    token: int


def open_ledger(database: Database) -> None:
    """Begins the ledger of a database that has the study's tables and no epoch yet."""
    with database.writing() as session:
        for statement in (_TABLE, *_TRIGGERS[database.dialect]):
            session.execute(text(statement))


def writes(database: Database) -> list[Write]:
    with database.reading() as session:
        rows = session.execute(text("SELECT trial_id, epoch, run, token FROM chaos_writes"))
        return [Write(**row) for row in rows.mappings()]
