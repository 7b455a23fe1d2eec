"""Texts, and what they become for a model."""
