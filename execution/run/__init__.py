"""A run on its way: keys, cache, schedule, calls, expansions."""
