"""Artifacts in a bucket of S3, or of anything that speaks its protocol.

Credentials, region and endpoint are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, a profile,
the machine's role), as boto3 finds them. Uploads are whole or not there by S3's own promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from storage.artifact_store import Artifact, as_written
from storage.errors import ArtifactsUnavailable, InvalidPlace, MissingArtifact
from storage.files import is_of_file_system
from storage.held_folders import scratch_folder

SCHEME = "s3://"
_MISSING = ("404", "NoSuchKey", "NotFound")
_CONNECT_SECONDS = 5
_READ_SECONDS = 60
_ATTEMPTS = 4


class BucketStore:
    """Keys are below a prefix of a bucket. Each process opens its own: connections survive no fork."""

    def __init__(self, place: str, folder: str) -> None:
        """Opens a folder of the place ``s3://bucket/prefix``.

        Raises:
            InvalidPlace: there is no bucket in the place, or boto3 is not installed.
        """
        self._bucket, _, prefix = place.removeprefix(SCHEME).partition("/")
        if not self._bucket:
            raise InvalidPlace(place, "names no bucket; use s3://BUCKET/PREFIX")
        self._prefix = "/".join([*filter(None, prefix.split("/")), folder, ""])
        self.place = f"{SCHEME}{self._bucket}/{self._prefix}".rstrip("/")
        self._client = _client(place)

    def put(self, key: str, write: Callable[[Path], None]) -> Artifact:
        """As ``ArtifactStore.put``."""
        with self._scratch_file(key) as file:
            try:
                write(file)
                artifact = as_written(key, file)
            except OSError as error:
                if not is_of_file_system(error):
                    raise
                raise self._no_scratch(error) from error
            with self._translating(artifact.key):
                self._client.upload_file(
                    str(file), self._bucket, self._prefix + artifact.key, ExtraArgs={"ChecksumAlgorithm": "SHA256"}
                )
        return artifact

    @contextmanager
    def fetched(self, key: str) -> Iterator[Path]:
        """As ``ArtifactStore.fetched``; a copy that is gone after the block."""
        with self._scratch_file(key) as file:
            with self._translating(key):
                self._client.download_file(self._bucket, self._prefix + key, str(file))
            yield file

    def remove(self, key: str) -> None:
        """As ``ArtifactStore.remove``."""
        with self._translating(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def keys(self, prefix: str) -> list[str]:
        """As ``ArtifactStore.keys``."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._translating(prefix):
            return [
                found["Key"].removeprefix(self._prefix)
                for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
                for found in page.get("Contents", ())
            ]

    @contextmanager
    def _scratch_file(self, key: str) -> Iterator[Path]:
        try:
            made = scratch_folder()
        except OSError as error:
            raise self._no_scratch(error) from error
        with made as folder:
            yield Path(folder, f"artifact{PurePosixPath(key).suffix}")

    def _no_scratch(self, error: OSError) -> ArtifactsUnavailable:
        return ArtifactsUnavailable(self.place, f"the folder for temporary files on this machine: {_one_line(error)}")

    @contextmanager
    def _translating(self, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise MissingArtifact(self.place, key) from None
            raise ArtifactsUnavailable(self.place, _one_line(error)) from error
        except (BotoCoreError, Boto3Error) as error:
            raise ArtifactsUnavailable(self.place, _one_line(error)) from error


def _client(place: str) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise InvalidPlace(place, "needs boto3: pip install 'keras-champion[s3]'") from None
    settings = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    try:
        return boto3.client("s3", config=settings)
    except (BotoCoreError, ValueError) as error:
        raise ArtifactsUnavailable(place, _one_line(error)) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
