"""Comfy API v2, below /api/v2: assets by id, jobs with their outputs as assets, events as they come."""
