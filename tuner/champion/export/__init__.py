"""From a study to the files of a champion."""
