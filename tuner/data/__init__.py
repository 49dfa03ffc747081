"""Raw files to batches: scanned, decoded, split, fingerprinted and cached on the node."""
