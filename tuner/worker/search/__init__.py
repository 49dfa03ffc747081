"""What is tried next, what a trial is worth, and which trials are ended early."""
