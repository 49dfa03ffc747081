"""The settings with which a service is started."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from storage.local_addresses import is_loopback_host
from tuner.spec.sections import LaunchSettings


class ServiceSettings(BaseModel):
    """Where a service listens, what it may do and how much it takes.

    Attributes:
        storage: the database's URL, which is never shown.
        host: the name or address at which it listens.
        port: the TCP port at which it listens; 0 for any free one.
        allowed_hosts: further names that it is reached by. Browsers that name another one are refused on loopback.
        proxies: addresses of proxies that say by which scheme and from where a request came. Others are reached
            through them, so that this machine is not alone.
        spaces: search spaces that a spec over HTTP may name besides the built-in ones.
        data_roots: folders that its data must be in.
        launchers: engines that the service may start for a study: local, ray, slurm. Workers of the pool need none.
        engines: the settings of these engines, none of which a caller can change.
        max_workers: largest number of workers that one launch over HTTP may ask for.
        max_trials: largest number of trials that a study launched over HTTP may have.
        max_prepared_bytes: most that the prepared data of one study launched over HTTP may take on disk, in bytes.
        max_body_bytes: largest size of a request's body, in bytes.
        requests_per_minute: largest number of requests of one client in a minute; 0 for no limit.
        threads: largest number of questions that are asked of the database at the same time.
        feeds: largest number of live feeds that are open at the same time.
        feed_seconds: seconds between two looks of a live feed at the database.
        answer_seconds: seconds after which a database server that does not answer counts as unavailable.
        known_seconds: seconds for which a token that was looked up counts as known, even if it is revoked meanwhile.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage: str = Field(repr=False)
    host: str = "127.0.0.1"
    port: int = Field(8730, ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()
    data_roots: tuple[Path, ...] = ()
    launchers: tuple[str, ...] = ()
    engines: LaunchSettings = Field(LaunchSettings(), repr=False)
    max_workers: PositiveInt = 16
    max_trials: PositiveInt = 10_000
    max_prepared_bytes: PositiveInt = 50 * 2**30
    max_body_bytes: PositiveInt = 1024 * 1024
    requests_per_minute: NonNegativeInt = 6000
    threads: PositiveInt = 8
    feeds: PositiveInt = 100
    feed_seconds: PositiveFloat = 1.0
    answer_seconds: PositiveFloat = 15.0
    known_seconds: float = Field(1.0, ge=0)

    @property
    def on_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return not self.proxies and is_loopback_host(self.host)
