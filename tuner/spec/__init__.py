"""What a search is described by: the spec, its sections, how it is read, and what of it may change."""
