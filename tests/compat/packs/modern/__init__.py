"""A pack of V3 nodes."""

import asyncio
from enum import Enum

from comfy_api.latest import ComfyExtension, io, ui


class Mode(Enum):
    soft = "Soft"
    hard = "Hard"


class Everything(io.ComfyNode):
    """Has an input of every plain kind."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Everything",
            display_name="Everything At Once",
            category="modern",
            description="All kinds of inputs.",
            search_aliases=["all"],
            inputs=[
                io.Int.Input(
                    "count",
                    default=1,
                    min=0,
                    max=10,
                    step=1,
                    tooltip="How many.",
                    control_after_generate=True,
                ),
                io.Float.Input(
                    "amount", default=0.5, min=0.0, max=1.0, round=0.01, display_mode=io.NumberDisplay.slider
                ),
                io.String.Input("words", multiline=True, dynamic_prompts=True, placeholder="say"),
                io.Boolean.Input("on", default=True, label_on="yes", label_off="no"),
                io.Combo.Input("mode", options=Mode, default=Mode.soft),
                io.Combo.Input("file", options=["a.png"], upload=io.UploadType.image),
                io.MultiCombo.Input("several", options=["x", "y"], default=["x"]),
                io.Custom("CHEESE").Input("cheese", optional=True, force_input=True),
                io.MultiType.Input("either", types=[io.Image, io.Mask], optional=True),
                io.AnyType.Input("any", optional=True, lazy=True, future_keyword=3),
            ],
            outputs=[
                io.Int.Output(display_name="number", tooltip="The count."),
                io.Custom("CHEESE").Output(),
                io.String.Output(is_output_list=True),
            ],
            hidden=[io.Hidden.unique_id],
            is_experimental=True,
            keyword_of_the_future=True,
        )

    @classmethod
    def execute(cls, count, mode, several=(), **kwargs) -> io.NodeOutput:
        return io.NodeOutput(count, cls.hidden.unique_id, [mode, *several])


class Half(io.ComfyNode):
    """Validates, fingerprints and blocks by itself."""

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Half", inputs=[io.Int.Input("value", default=2)], outputs=[io.Int.Output()])

    @classmethod
    def validate_inputs(cls, value):
        return True if value != 13 else "13 brings bad luck"

    @classmethod
    def fingerprint_inputs(cls, value):
        return float("nan") if value == 99 else 0

    @classmethod
    def execute(cls, value):
        if value % 2:
            return io.NodeOutput(block_execution="odd")
        return io.NodeOutput(value // 2)


class Choose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        template = io.MatchType.Template("T")
        return io.Schema(
            node_id="Choose",
            inputs=[
                io.Boolean.Input("first"),
                io.MatchType.Input("a", template=template, lazy=True),
                io.MatchType.Input("b", template=template, lazy=True, optional=True),
            ],
            outputs=[io.MatchType.Output(template=template, display_name="chosen")],
        )

    @classmethod
    def check_lazy_status(cls, first, a=None, b=None):
        return [name for name, value in (("a", a), ("b", b)) if first == (name == "a") and value is None]

    @classmethod
    async def execute(cls, first, a=None, b=None):
        await asyncio.sleep(0)
        return io.NodeOutput(a if first else b)


class Grow(io.ComfyNode):
    """As many numbers as are linked."""

    @classmethod
    def define_schema(cls):
        template = io.Autogrow.TemplatePrefix(input=io.Int.Input("number"), prefix="number", min=1, max=5)
        return io.Schema(
            node_id="Grow",
            inputs=[
                io.Autogrow.Input("numbers", template=template),
                io.DynamicCombo.Input(
                    "how",
                    options=[
                        io.DynamicCombo.Option("sum", []),
                        io.DynamicCombo.Option("scaled", [io.Int.Input("scale", default=1)]),
                    ],
                ),
            ],
            outputs=[io.Int.Output()],
        )

    @classmethod
    def execute(cls, numbers, how):
        return io.NodeOutput(sum(numbers.values()) * (how.get("scale", 1) if how["how"] == "scaled" else 1))


class Preview(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Preview", inputs=[io.String.Input("words")], outputs=[], is_output_node=True
        )

    @classmethod
    def execute(cls, words):
        return io.NodeOutput(ui=ui.PreviewText(words))


class Unfold(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Unfold", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()], enable_expand=True
        )

    @classmethod
    def execute(cls, value):
        from comfy_execution.graph_utils import GraphBuilder

        graph = GraphBuilder()
        half = graph.node("Half", value=value)
        return io.NodeOutput(half.out(0), expand=graph.finalize())


class State(io.ComfyNode):
    """Writes to its class, which must not be seen by the next call."""

    seen = 0

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="State", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()])

    @classmethod
    def execute(cls, value):
        cls.seen += 1
        return io.NodeOutput(cls.seen)


class Rejected(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        raise TypeError("this schema is of the future")


class Modern(ComfyExtension):
    async def on_load(self):
        await asyncio.sleep(0)
        self.loaded = True

    async def get_node_list(self):
        assert self.loaded
        return [Everything, Half, Choose, Rejected, Grow, Preview, Unfold, State]


async def comfy_entrypoint():
    return Modern()
