"""What every message between a process and its child is, whichever pipe takes it there."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """What parent and child say, as JSON; subclasses that stand alone have a ``type`` that tells them apart.

    Both run the same version, so that a key which a message does not have is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
