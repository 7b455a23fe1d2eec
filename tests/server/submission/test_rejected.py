"""Refusals have ComfyUI's shape."""

from server.submission.rejected import bad_prefix, rejected


def test_a_rejection_names_its_kind() -> None:
    no = rejected("no_prompt", "No prompt provided", "Send one.")
    assert no.status == 400
    error = {"type": "no_prompt", "message": "No prompt provided", "details": "Send one.", "extra_info": {}}
    assert no.body == {"error": error, "node_errors": {}}


def test_a_bad_prefix_is_told_like_a_failed_validation() -> None:
    body = bad_prefix("9", "SaveImage", "../x")
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    told = body["node_errors"]["9"]
    assert (told["class_type"], told["dependent_outputs"]) == ("SaveImage", ["9"])
    assert told["errors"][0]["extra_info"] == {"input_name": "filename_prefix"}
    assert "'../x' leads out of the output folder" in told["errors"][0]["details"]
