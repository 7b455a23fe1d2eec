"""The program's own list of node types that have gone."""

from nodes.replacements import REPLACEMENTS
from workflows.replacements import Replacement, by_old_type


def test_the_programs_own_replacements_are_in_the_same_words() -> None:
    listed = by_old_type(REPLACEMENTS)
    assert listed["SDV_img2vid_Conditioning"][0]["new_node_id"] == "SVD_img2vid_Conditioning"
    resize = Replacement.of(listed["ImageScaleBy"][0])
    assert resize.renamed({"image": ["1", 0], "upscale_method": "area", "scale_by": 2.0}) == {
        "input": ["1", 0],
        "resize_type": "scale by multiplier",
        "resize_type.multiplier": 2.0,
        "scale_method": "area",
    }
