"""Whether a prompt can run: converted from either format, held against the specs, and where a node type
checks for itself shown to a worker.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution.check.validation import Validation, validate
from execution.errors import FolderError, WorkflowError
from server.answers import refusal
from server.parts import Parts
from server.submission.body import document_of, wanted_targets
from server.submission.rejected import PREFIX, Rejected, bad_prefix, rejected
from server.submission.size import count_nodes
from server.workers import NoAnswer
from workflows.prompt import is_workflow, to_prompt
from workflows.replacements import by_old_type, replaced_prompt, replaced_workflow

SPECS_SECONDS = 300.0
"""How long a prompt waits for the first worker, when no specs are cached."""
ASK_SECONDS = 20.0
FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Checked:
    """A prompt in API format that may run. `node_errors` are those of branches that are left out."""

    prompt: dict[str, Any]
    targets: tuple[str, ...]
    node_errors: Mapping[str, Any]
    extra_pnginfo: Mapping[str, Any] | None = None


async def check(parts: Parts, body: Mapping[str, Any]) -> Checked:
    """Convert and validate what a body holds. Raises `Rejected`."""
    document, targets = document_of(body), wanted_targets(body)
    if count_nodes(document, parts.limits.nodes) > parts.limits.nodes:
        raise rejected("prompt_too_large", f"The prompt has more than {parts.limits.nodes} nodes.")
    if not parts.catalogue.is_known and not await parts.catalogue.wait(SPECS_SECONDS):
        problem = next(iter(parts.crew.problems.values()), "it is still starting")
        raise refusal(503, "no_worker", "No worker has said yet which nodes there are.", problem)
    prompt, pnginfo = await converted(parts, document)
    return await validated(parts, prompt, targets, pnginfo)


async def converted(parts: Parts, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The prompt in API format, its gone node types replaced, and, if it came as a workflow, what pictures
    made by it carry.
    """
    listed, specs = by_old_type(parts.catalogue.replacements), parts.catalogue.specs
    if not is_workflow(document):
        return dict(replaced_prompt(document, listed, specs)), None
    try:
        prompt, _ = await asyncio.to_thread(to_prompt, replaced_workflow(document, listed, specs), specs)
    except WorkflowError as error:
        raise rejected(
            "invalid_workflow", "The workflow cannot be turned into a prompt.", str(error)
        ) from error
    return prompt, {"workflow": document}


async def validated(
    parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None, pnginfo: Mapping[str, Any] | None
) -> Checked:
    """Validate against the specs; ask a worker where a node type checks for itself or may offer more than it
    did.
    """
    result = await local(parts, prompt, targets)
    if not result.ok and await refreshed(parts, prompt, result):
        result = await local(parts, prompt, targets)
    if result.needs_worker:
        answer = await by_worker(parts, prompt, targets)
        if answer is not None:
            if answer["error"]:
                raise Rejected({"error": answer["error"], "node_errors": answer["node_errors"]})
            return Checked(prompt, tuple(answer["outputs"]), answer["node_errors"], pnginfo)
    status, response = result.response()
    if status != 200:
        raise Rejected(response, status)
    return Checked(prompt, tuple(result.outputs), result.node_errors, pnginfo)


def check_prefixes(parts: Parts, prompt: Mapping[str, Any]) -> None:
    """Refuse names of saved files that lead out of the output folder, before anything is computed for
    them.
    """
    for node_id, node in prompt.items():
        inputs = node.get("inputs")
        prefix = inputs.get(PREFIX) if isinstance(inputs, dict) else None
        if not isinstance(prefix, str):
            continue
        try:
            parts.folders.inside("output", prefix)
        except (FolderError, OSError, ValueError):
            raise Rejected(bad_prefix(node_id, node["class_type"], prefix)) from None


async def local(parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None) -> Validation:
    """Validation in a thread, by the specs alone."""
    return await asyncio.to_thread(inspected, parts, prompt, targets)


def inspected(parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None) -> Validation:
    """What validation finds, unless a name of a file to save is `Rejected` outright."""
    result = validate(prompt, parts.catalogue.specs, targets, parts.folders, any_node=targets is not None)
    if result.ok:
        check_prefixes(parts, prompt)
    return result


async def by_worker(
    parts: Parts, prompt: dict[str, Any], targets: tuple[str, ...] | None
) -> dict[str, Any] | None:
    """A worker's validation, with the types' own checks; None when no worker can be asked, which leaves them
    to the run.
    """
    question = {"prompt": prompt, "targets": list(targets) if targets is not None else None}
    try:
        answer: dict[str, Any] = await parts.crew.ask("validate", question, ASK_SECONDS)
    except NoAnswer:
        return None
    return answer


async def refreshed(parts: Parts, prompt: dict[str, Any], result: Validation) -> bool:
    """Ask anew for the specs of nodes whose choice was refused; whether one changed."""
    names = set()
    for node, problems in result.node_errors.items():
        if any(each["type"] == "value_not_in_list" for each in problems.get("errors", ())):
            names.add(prompt[node].get("class_type"))
    before = parts.catalogue.specs
    for name in names & before.keys():
        try:
            parts.catalogue.refresh(name, await parts.crew.ask("spec", {"name": name}, FRESH_SECONDS))
        except NoAnswer:
            return False
    return parts.catalogue.specs is not before
