"""Lists in and out, and output nodes."""


class Add:
    DESCRIPTION = "Adds two numbers."
    OUTPUT_TOOLTIPS = ("The sum.",)

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "a": ("INT", {"default": 0, "tooltip": "One."}),
                "b": ("INT", {"default": 0, "private": [1]}),
            }
        }

    RETURN_TYPES = ("INT",)
    RETURN_NAMES = ("sum",)
    FUNCTION = "add"
    CATEGORY = "behaviours/numbers"

    def add(self, a, b):
        return (a + b,)


class Count:
    """A list of numbers."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"length": ("INT", {"default": 3})}}

    RETURN_TYPES = ("INT", "INT")
    OUTPUT_IS_LIST = (True, False)
    FUNCTION = "count"

    def count(self, length):
        return (list(range(1, length + 1)), length)


class Total:
    """One number of a whole list."""

    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"values": ("INT", {}), "scale": ("INT", {"default": 1})},
            "hidden": {"id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("INT",)
    FUNCTION = "total"

    def total(self, values, scale, id):
        assert isinstance(id, list)
        return (sum(values) * scale[0],)


class Show:
    """Shows a value on the page."""

    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}}

    RETURN_TYPES = ()
    FUNCTION = "show"

    def show(self, value):
        return {"ui": {"text": [repr(value)]}}


class ShowAndPass:
    """Shows a value and hands it on."""

    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "show"

    def show(self, value):
        return {"ui": {"seen": (value,)}, "result": (value,)}


KINDS = (Add, Count, Total, Show, ShowAndPass)
NODES = {kind.__name__: kind for kind in KINDS}
