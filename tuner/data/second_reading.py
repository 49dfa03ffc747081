"""Whether a Python source gives the same data each time, found out by reading it once more.

``python -m tuner.data.second_reading FOLDER`` reads the ``data`` section of a spec from standard input and prints the
fingerprint of what its source gives, as the first reading of a process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tuner.data.python_source import PythonSource
from tuner.errors import DataError
from tuner.processes.parents import end_with_parent
from tuner.spec.data import Python


def check_second_reading(data: Python, fingerprint: str, cache: Path) -> None:
    """Reads the source again.

    Args:
        fingerprint: of the first reading.
        cache: an existing folder with room for the data.

    Raises:
        DataError: it gives other data.
    """
    with tempfile.TemporaryDirectory(dir=cache, prefix=".second-reading-") as scratch:
        if PythonSource(data, Path(scratch)).fingerprint == fingerprint:
            return
    # What a module keeps between two calls is no matter: every worker reads once, in a process of its own.
    again = subprocess.run(
        [sys.executable, "-m", "tuner.data.second_reading", str(cache)],
        input=data.model_dump_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if again.returncode == 0 and again.stdout.split()[-1:] == [fingerprint]:
        return
    raise DataError(
        f"data.source {data.source} gives other data each time it is called, so no two trials could be compared: give "
        "every random choice in it a seed, such as .shuffle(1000, seed=0, reshuffle_each_iteration=False) of a "
        "tf.data.Dataset or np.random.default_rng(0)",
        key="data.source",
    )


def main() -> None:
    end_with_parent()
    data = Python.model_validate_json(sys.stdin.read())
    with tempfile.TemporaryDirectory(dir=sys.argv[1], prefix=".second-reading-") as scratch:
        print(PythonSource(data, Path(scratch)).fingerprint)


if __name__ == "__main__":
    main()
