"""Files of pictures: their pixels and their texts. PIL and numpy; no torch, nothing of ours."""
