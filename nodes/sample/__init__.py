"""Samplers, schedules, and models sampled otherwise."""
