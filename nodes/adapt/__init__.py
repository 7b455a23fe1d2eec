"""Small files that change a model, and models mixed."""
