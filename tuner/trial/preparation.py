"""A worker's first child: decodes the study's data into this node's cache."""

from __future__ import annotations

import os
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tuner.errors import TunerError
from tuner.spec.search_spec import SearchSpec
from tuner.trial.channel import tell_worker
from tuner.trial.messages import Refused
from tuner.trial.preflight import prepare_data, refusal
from tuner.trial.process import redirect_output, use_scratch


def prepare_main(connection: Connection, scratch: str, spec_json: str, cache: str, log: str) -> None:
    """Sends DecodeProgress while decoding, then Prepared or Refused."""
    redirect_output(Path(log))
    use_scratch(scratch)

    def say(message: Any) -> None:
        tell_worker(connection, message)

    try:
        prepare_data(SearchSpec.model_validate_json(spec_json), Path(cache), say)
    except TunerError as error:
        say(refusal(error))
    except Exception as error:
        say(
            Refused(
                kind="data",
                key="data",
                message=f"{type(error).__name__}: {error}",
                traceback=traceback.format_exc(),
            )
        )
    os._exit(0)
