"""Our MODEL, CLIP and VAE values as packs call them."""
