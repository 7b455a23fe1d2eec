"""A pack that does everything a V1 node may do; the tests run it through the engine."""

from . import asynchronous, changing, lazy, lists, loops, strange, validating

NODE_CLASS_MAPPINGS = {}
NODE_DISPLAY_NAME_MAPPINGS = {"Add": "Add Two Numbers"}
for part in (asynchronous, changing, lazy, lists, loops, strange, validating):
    NODE_CLASS_MAPPINGS.update(part.NODES)
