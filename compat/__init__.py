"""ComfyUI's names for custom nodes: packs of V1 classes and V3 schemas become node types of our engine."""
