"""Latents and pictures: VAEs, formats, tiles, previews."""
