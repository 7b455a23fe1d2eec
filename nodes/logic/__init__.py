"""Choices, loops, single values, looking at values."""
