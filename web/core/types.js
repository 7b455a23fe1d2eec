/** @import { SocketType } from "../types.js" */
/** Socket types: their names, and which may be joined. */

const ANY = "*";

/** @param {SocketType} type @returns {string} the name a type is shown and coloured by */
export function typeName(type) {
  if (Array.isArray(type)) return "COMBO";
  if (type === 0 || type === "" || type == null) return ANY;
  return String(type);
}

/** @param {SocketType} type @returns {string[]} the alternatives of a comma list, upper case */
function alternatives(type) {
  return typeName(type)
    .toUpperCase()
    .split(",")
    .map((part) => part.trim());
}

/**
 * Whether an output of one type may feed an input of another: equal, either is `*`, or two unions that
 * overlap.
 * @param {SocketType} output
 * @param {SocketType} input
 */
export function connectable(output, input) {
  if (output === input) return true;
  const gives = alternatives(output);
  const takes = alternatives(input);
  return gives.includes(ANY) || takes.includes(ANY) || gives.some((type) => takes.includes(type));
}

/** Link ends that stand for a subgraph's own inputs and outputs. */
export const INPUT_PORTS = -10;
export const OUTPUT_PORTS = -20;

/** Node modes of the file format. */
export const MODE = Object.freeze({ always: 0, never: 2, bypass: 4 });
