"""What processes share: their environment, how they end, and which code and versions they run."""
