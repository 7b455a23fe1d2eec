/** What to do about an error: one sentence by kind or by words in the message. */

/** @type {Record<string, string>} */
const BY_KIND = {
  required_input_missing: "Connect this input, or give it a value.",
  value_not_in_list:
    "Choose one of the names in the list; the file may have another name here, or is not installed.",
  value_smaller_than_min: "Enter a larger value.",
  value_bigger_than_max: "Enter a smaller value.",
  return_type_mismatch: "Connect an output of the same type.",
  bad_linked_input: "Disconnect this input and connect it again.",
  invalid_input_type: "Enter a value of the right kind.",
  custom_validation_failed: "Check this value; the file may be gone.",
  prompt_no_outputs: "Add a node that shows or saves a result, such as Save Image or Preview Image.",
  invalid_prompt: "Install the pack the missing node comes from, or replace the node.",
};

/** @type {[RegExp, string][]} */
const BY_WORDS = [
  [
    /out of memory|OutOfMemory|alloc/i,
    "Make the picture or the batch smaller, or close other programs that use memory, and run again.",
  ],
  [
    /shape|size mismatch|must match|dimension/i,
    "The parts do not fit together: check that model, text encoder, VAE and control are of one family.",
  ],
  [/no such file|not found|does not exist/i, "The file is gone or has another name; choose it anew."],
  [/nan|inf\b/i, "Try fp32 precision or another VAE."],
];

/** @param {string | undefined} kind @param {string | undefined} message @returns {string | undefined} */
export function adviceFor(kind, message) {
  if (kind && BY_KIND[kind]) return BY_KIND[kind];
  return BY_WORDS.find(([words]) => words.test(`${kind ?? ""} ${message ?? ""}`))?.[1];
}
