"""``python -m tuner.worker``: a worker's process.

Settings come as JSON in ``TUNER_WORKER``, the storage URL in ``TUNER_STORAGE``. This module stays tiny because the
forkserver's children import the main module again.
"""

if __name__ == "__main__":
    import sys

    from tuner.worker.entry import main

    sys.exit(main())
