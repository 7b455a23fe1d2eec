"""The graph engine: specs, validation, keys, cache, runs, and the channel to a worker. Standard library only."""
