"""Expansion: mixed returns, recursion, and loops built by tail recursion with GraphBuilder."""

from comfy_execution.graph_utils import GraphBuilder, is_link


class ExpandMixed:
    """Returns one plain value and one link into what it expands into."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    RETURN_TYPES = ("INT", "INT")
    FUNCTION = "expand"

    def expand(self, a, b):
        graph = GraphBuilder()
        added = graph.node("Add", a=a, b=b)
        doubled = graph.node("Add", a=added.out(0), b=added.out(0))
        return {"result": (a, doubled.out(0)), "expand": graph.finalize()}


class ExpandRaw:
    """Hands a link on into its expansion without waiting for the value."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"rawLink": True}), "plus": ("INT", {"default": 1})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "expand"

    def expand(self, value, plus):
        assert is_link(value)
        graph = GraphBuilder()
        return {"result": (graph.node("Add", a=value, b=plus).out(0),), "expand": graph.finalize()}


class Factorial:
    """Recursion: expands into itself until it reaches one."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"n": ("INT", {}), "so_far": ("INT", {"default": 1})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, n, so_far):
        if n <= 1:
            return (so_far,)
        graph = GraphBuilder()
        return {
            "result": (graph.node("Factorial", n=n - 1, so_far=so_far * n).out(0),),
            "expand": graph.finalize(),
        }


class ExpandCycle:
    """Expands into two lazy nodes that turn out to need each other."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    RETURN_TYPES = ("FLOAT",)
    FUNCTION = "expand"

    def expand(self, a, b):
        graph = GraphBuilder()
        one = graph.node("Mix", a=a, weight=0.5)
        two = graph.node("Mix", a=one.out(0), b=b, weight=0.5)
        one.set_input("b", two.out(0))
        return {"result": (two.out(0),), "expand": graph.finalize()}


class WhileOpen:
    """Where a loop begins; what it gives in each round is what the end gave in the round before."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"condition": ("BOOLEAN", {"default": True})},
            "optional": {"state1": ("*",), "state2": ("*",)},
        }

    RETURN_TYPES = ("FLOW", "*", "*")
    RETURN_NAMES = ("flow", "state1", "state2")
    FUNCTION = "open"

    def open(self, condition, state1=None, state2=None):
        return ("flow", state1, state2)


class WhileClose:
    """Where a loop ends: while the condition is true it copies everything between and runs it again."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"flow": ("FLOW", {"rawLink": True}), "condition": ("BOOLEAN", {"forceInput": True})},
            "optional": {"state1": ("*",), "state2": ("*",)},
            "hidden": {"live": "DYNPROMPT", "id": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("*", "*")
    RETURN_NAMES = ("state1", "state2")
    FUNCTION = "close"

    def close(self, flow, condition, state1=None, state2=None, live=None, id=None):
        if not condition:
            return (state1, state2)
        inside = self.between(flow[0], id, live)
        graph = GraphBuilder()
        copies = {}
        for node_id in inside:
            name = "Recurse" if node_id == id else node_id
            copies[node_id] = graph.node(live.get_node(node_id)["class_type"], name)
            copies[node_id].set_override_display_id(node_id)
        for node_id, copy in copies.items():
            for key, value in live.get_node(node_id)["inputs"].items():
                linked_inside = is_link(value) and value[0] in copies
                copy.set_input(key, copies[value[0]].out(value[1]) if linked_inside else value)
        begin = copies[flow[0]]
        begin.set_input("state1", state1)
        begin.set_input("state2", state2)
        again = graph.lookup_node("Recurse")
        return {"result": (again.out(0), again.out(1)), "expand": graph.finalize()}

    def between(self, begin, end, live):
        """The nodes that stand on a way from `begin` to `end`, both among them."""
        users = {}
        pending, upstream = [end], {end}
        while pending:
            node_id = pending.pop()
            for value in live.get_node(node_id)["inputs"].values():
                if is_link(value):
                    users.setdefault(value[0], set()).add(node_id)
                    if value[0] not in upstream:
                        upstream.add(value[0])
                        pending.append(value[0])
        pending, inside = [begin], {begin}
        while pending:
            for user in users.get(pending.pop(), ()):
                if user not in inside:
                    inside.add(user)
                    pending.append(user)
        return sorted(inside | {end})


class ForOpen:
    """Where a counted loop begins: `state1` is how many rounds are left."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"state1": ("INT", {"default": 1})}, "optional": {"state2": ("*",)}}

    RETURN_TYPES = ("FLOW", "INT", "*")
    RETURN_NAMES = ("flow", "remaining", "value")
    FUNCTION = "open"

    def open(self, state1, state2=None):
        return ("flow", state1, state2)


class CountOpen:
    """Where a counted loop begins whose count the loop itself hands on by a hidden input."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"rounds": ("INT", {"default": 1})},
            "optional": {"state2": ("*",)},
            "hidden": {"state1": ("*",)},
        }

    RETURN_TYPES = ("FLOW", "INT", "*")
    FUNCTION = "open"

    def open(self, rounds, **kwargs):
        return ("flow", kwargs.get("state1", rounds), kwargs.get("state2"))


class ForClose:
    """Where a counted loop ends: expands into a WhileClose that counts down."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"flow": ("FLOW", {"rawLink": True})},
            "optional": {"value": ("*", {"rawLink": True})},
        }

    RETURN_TYPES = ("*",)
    RETURN_NAMES = ("value",)
    FUNCTION = "close"

    def close(self, flow, value=None):
        graph = GraphBuilder()
        left = graph.node("Add", a=[flow[0], 1], b=-1)
        more = graph.node("Less", a=0, b=left.out(0))
        end = graph.node("WhileClose", flow=flow, condition=more.out(0), state1=left.out(0), state2=value)
        return {"result": (end.out(1),), "expand": graph.finalize()}


class Less:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {}), "b": ("INT", {"default": 0})}}

    RETURN_TYPES = ("BOOLEAN",)
    FUNCTION = "run"

    def run(self, a, b):
        return (a < b,)


class Accumulate:
    """Adds a value to a growing list."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}, "optional": {"so_far": ("ACCUMULATION",)}}

    RETURN_TYPES = ("ACCUMULATION",)
    FUNCTION = "run"

    def run(self, value, so_far=None):
        return ({"values": [*(so_far or {"values": []})["values"], value]},)


class AccumulationToList:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"accumulation": ("ACCUMULATION",)}}

    RETURN_TYPES = ("*",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "run"

    def run(self, accumulation):
        return (accumulation["values"],)


KINDS = (
    ExpandMixed,
    ExpandCycle,
    ExpandRaw,
    Factorial,
    WhileOpen,
    WhileClose,
    ForOpen,
    CountOpen,
    ForClose,
    Less,
    Accumulate,
    AccumulationToList,
)
NODES = {kind.__name__: kind for kind in KINDS}
