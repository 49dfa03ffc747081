"""How results are shown to people, in a terminal and on pages."""
