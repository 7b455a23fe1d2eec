"""Models from files and into files."""
