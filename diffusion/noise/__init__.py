"""Noise levels: clocks, predictions, schedules, samplers' noise."""
