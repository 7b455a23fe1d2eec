"""Changes to a model that need no training: from a `Model` to a new one with hooks or weight patches."""
