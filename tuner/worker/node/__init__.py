"""What of this machine a worker may use."""
