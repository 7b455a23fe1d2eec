"""A pack as foreign tests bring one: a name with a hyphen, found by `custom_nodes` of an extra config file.

The parts other than `pictures` are those of `packs/behaviours`; the tests put them beside this file.
"""

from . import asynchronous, changing, lazy, lists, loops, pictures, validating

NODE_CLASS_MAPPINGS = {}
for part in (asynchronous, changing, lazy, lists, loops, pictures, validating):
    NODE_CLASS_MAPPINGS.update(part.NODES)
NODE_DISPLAY_NAME_MAPPINGS = {"Flat": "Flat Picture"}
