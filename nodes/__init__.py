"""The program's own nodes: typed functions by topic, thin over `diffusion`."""
