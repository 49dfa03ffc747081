"""Whether exported files score what the study says, on raw examples and in clean processes."""
