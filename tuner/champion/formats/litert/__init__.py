"""Champions as LiteRT files."""
