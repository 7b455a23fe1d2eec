"""VALIDATE_INPUTS in all its styles."""

import asyncio


class Base:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0, "min": 0, "max": 10}), "name": (["a", "b"],)}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value, name="", **kwargs):
        return (value,)


class ValidByName(Base):
    """Checks `value` by itself, so that min and max are not looked at; `name` still has to be a choice."""

    @classmethod
    def VALIDATE_INPUTS(cls, value):
        return True if value != 13 else "13 brings bad luck"


class ValidByAll(Base):
    """Checks everything by itself."""

    @classmethod
    def VALIDATE_INPUTS(cls, **kwargs):
        return kwargs["name"] == "anything" or f"the name {kwargs['name']!r} will not do"


class ValidFalse(Base):
    @classmethod
    def VALIDATE_INPUTS(cls, name):
        return name != "wrong"


class ValidRaises(Base):
    @classmethod
    def VALIDATE_INPUTS(cls, value):
        raise ZeroDivisionError("validation fell over")


class ValidAsync(Base):
    @classmethod
    async def VALIDATE_INPUTS(cls, value):
        await asyncio.sleep(0)
        return value < 5 or "must be under five"


class ValidTypes:
    """Takes INT or FLOAT for `value`, by looking at the types of links."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT,FLOAT,STRING", {}), "any": ("*",)}}

    RETURN_TYPES = ("FLOAT",)
    FUNCTION = "run"

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        if input_types.get("value") not in ("INT", "FLOAT"):
            return f"value must be INT or FLOAT, not {input_types.get('value')}"
        return True

    def run(self, value, any):
        return (float(value),)


KINDS = (ValidByName, ValidByAll, ValidFalse, ValidRaises, ValidAsync, ValidTypes)
NODES = {kind.__name__: kind for kind in KINDS}
