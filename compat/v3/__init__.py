"""V3 nodes: the objects that packs declare them with, and the adapter that runs them."""
