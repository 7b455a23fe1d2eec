"""Files as assets: named by an id, known by the blake3 hash of their bytes, tagged, described."""
