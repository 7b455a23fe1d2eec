"""Where files are, and writing them whole."""
