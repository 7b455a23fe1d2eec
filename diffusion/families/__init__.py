"""The kinds of models: how a file is told, what it is built of, and what its values are."""
