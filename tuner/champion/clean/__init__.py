"""Runs exported files on raw examples in a process that has their runtime and nothing of this project.

``tuner.champion.proof.clean_runs`` copies this package elsewhere, under the name ``champion_proof``, and runs
``inference.main`` with ``python -I``. It imports the standard library, NumPy and the runtimes only, and makes importing
everything else that the request names impossible, so that what it computes is what a user of the exported files
computes.

The request is a JSON file:

- ``forbidden``: packages that cannot be imported from then on.
- ``batch_size``: of the runs.
- ``runs``: for each exported file ``name``, ``runtime`` (``saved_model``, ``keras``, ``onnx``, ``litert``), its
  ``path``, ``columns``, and ``keep``: which outputs are written where, each ``{"tensor", "signature", "file"}``, .npy;
  of ``keras``, whose outputs have no names, in their order, and besides ``structure``, ``names`` and ``dtypes`` of what
  it takes.
- ``result``: where to write the answer: for each run's name ``{"examples", "seconds", "device", "latency_ms",
  "per_second"}``, or ``{"error"}``, or ``{"skipped": reason}``.

``columns`` are the examples as a user has them, one for each tensor: ``{"files": [...]}``, their contents, with
``"text": true`` without a byte order mark; ``{"array": file.npy or .npz, "key": ..., "rows": file.npy}``;
``{"strings": stem}`` and ``{"codes": file, "vocabulary": file}``, files as ``tuner.data.columns`` writes them;
``{"pixels": stem}``, images of any size, flat in ``stem.npy``, each one's offset, height and width in
``stem-places.npy``. Or ``{"csv": file, "delimiter", "rows": file.npy, "columns": {tensor: {"name", "kind"}}}``, which
is read here with Python's own csv module.
"""
