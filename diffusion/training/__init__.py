"""Adapters trained on latents."""
