"""Diffusion models: weights, text encoders, denoisers, samplers and the memory they live in.

Needs torch; knows nothing of graphs, nodes or servers.
"""
