/**
 * Ranking of names by what was typed: prefixes and initials before scattered letters, all words must be
 * found.
 */

/** @param {string} query @param {string} text @returns {number} 0 when it does not fit */
export function score(query, text) {
  if (!query) return 1;
  const low = text.toLowerCase();
  let total = 0;
  for (const word of query.toLowerCase().split(/\s+/)) {
    const one = scoreWord(word, low, text);
    if (!one) return 0;
    total += one;
  }
  return total - text.length * 0.01;
}

/** @param {string} word @param {string} low @param {string} text */
function scoreWord(word, low, text) {
  if (low === word) return 120;
  const at = low.indexOf(word);
  if (at === 0) return 90;
  if (at > 0) return /[\s_\-/(]/.test(low[at - 1]) || isHump(text, at) ? 75 : 50;
  const initials = [...text]
    .filter((_, index) => index === 0 || /[\s_\-/(]/.test(text[index - 1]) || isHump(text, index))
    .join("")
    .toLowerCase();
  if (initials.startsWith(word)) return 70;
  return scattered(word, low);
}

/** @param {string} text @param {number} at */
function isHump(text, at) {
  return text[at] !== text[at].toLowerCase() && text[at - 1] === text[at - 1].toLowerCase();
}

/** @param {string} word @param {string} low @returns {number} letters in order, close together */
function scattered(word, low) {
  let at = -1;
  let gaps = 0;
  for (const letter of word) {
    const next = low.indexOf(letter, at + 1);
    if (next < 0) return 0;
    if (at >= 0) gaps += next - at - 1;
    at = next;
  }
  return gaps > word.length * 2 ? 0 : Math.max(1, 30 - gaps * 3);
}

/**
 * @template T
 * @param {string} query
 * @param {T[]} things
 * @param {(thing: T) => [text: string, weight: number][]} textsOf
 * @returns {T[]} those that fit, best first; ties keep their order
 */
export function ranked(query, things, textsOf) {
  if (!query) return things;
  return things
    .map((thing) => ({
      thing,
      best: Math.max(0, ...textsOf(thing).map(([text, weight]) => score(query, text) * weight)),
    }))
    .filter(({ best }) => best > 0)
    .sort((a, b) => b.best - a.best)
    .map(({ thing }) => thing);
}
