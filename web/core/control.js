/** What a "control after generate" rule makes of a value. */

export const CONTROLS = ["fixed", "increment", "decrement", "randomize"];
const LARGEST_EXACT = 1125899906842624; // 2^50: a random seed stays exact in JSON and in JavaScript

/**
 * @param {number} value @param {string} rule @param {Record<string, any>} options the widget's min, max and step
 * @param {() => number} random
 * @returns {number}
 */
export function nextNumber(value, rule, options = {}, random = Math.random) {
  const min = Math.max(-LARGEST_EXACT, options.min ?? 0);
  const max = Math.min(LARGEST_EXACT, options.max ?? LARGEST_EXACT);
  const step = options.step ?? 1;
  if (rule === "increment") return value + step > max ? min : value + step;
  if (rule === "decrement") return value - step < min ? max : value - step;
  if (rule === "randomize") return min + Math.floor(random() * Math.floor((max - min) / step + 1)) * step;
  return value;
}

/**
 * @param {any} value @param {string} rule @param {any[]} choices @param {() => number} random
 * @returns {any}
 */
export function nextChoice(value, rule, choices, random = Math.random) {
  if (!choices.length) return value;
  const index = choices.indexOf(value);
  if (rule === "increment") return choices[Math.min(index + 1, choices.length - 1)];
  if (rule === "increment-wrap") return choices[(index + 1) % choices.length];
  if (rule === "decrement") return choices[Math.max(index - 1, 0)];
  return rule === "randomize" ? choices[Math.floor(random() * choices.length)] : value;
}

/** @param {any} rule as files have it: a word, or `true`/`false` in old ones @returns {string} */
export function controlRule(rule) {
  if (rule === true) return "randomize";
  if (rule === false) return "fixed";
  return typeof rule === "string" ? rule : "fixed";
}
