"""Latents: made, mixed, and to and from pictures."""
