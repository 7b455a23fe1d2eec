"""The graph engine: specs, validation, keys, cache, runs, the channel to a worker. Standard library only."""
