// Lists of phrases as people write them, one a line, and as files hold them.

import { Problem } from "../common/api.js";
import { size } from "../common/words.js";

const LANGUAGE = /^#\s*language:\s*(\S+)$/i;

/**
 * Gives the phrases of a text, each once, with the number of the line where it stands first; how many were
 * `repeated`; and the language that a line like `# language: de` tells. Other lines that begin with # are comments.
 */
export function parsePhrases(text) {
  const found = new Map();
  let repeated = 0;
  let language = null;
  text.split("\n").forEach((written, index) => {
    const line = written.trim();
    if (LANGUAGE.test(line)) [, language] = LANGUAGE.exec(line);
    else if (found.has(line)) repeated += 1;
    else if (line !== "" && !line.startsWith("#")) found.set(line, index + 1);
  });
  return { phrases: [...found.keys()], lines: [...found.values()], repeated, language };
}

/** Gives the line that stands for a phrase; null when a list has none, as for a text in paragraphs. */
export function lineOf(phrase) {
  if (/\n\s*\n/.test(phrase.trim())) return null;
  const line = phrase.trim().replace(/\s+/g, " ");
  return line.startsWith("#") ? null : line;
}

/** Gives the text of a file of phrases; throws the Problem why there is none. */
export async function readPhrases(file, maxBytes) {
  if (file.size > maxBytes) throw tooLarge(`${file.name} has`, file.size, maxBytes);
  const text = await decoded(file);
  if (parsePhrases(text).phrases.length === 0) throw new Problem({ detail: `There is no phrase in ${file.name}.` });
  return text.trimEnd();
}

export function tooLarge(what, bytes, maxBytes) {
  const detail = `${what} ${size(bytes)}, and ${size(maxBytes)} is the most that the farm takes at once. Take a part of it.`;
  return new Problem({ code: "body_too_large", detail });
}

async function decoded(file) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.replace(/\r\n?/g, "\n"); // as a text area has it
  } catch (error) {
    if (error instanceof DOMException) throw new Problem({ detail: `${file.name} cannot be read: is it a folder?` });
    if (error instanceof TypeError) throw new Problem({ detail: `${file.name} is no text in UTF-8. Save it as such.` });
    throw error;
  }
}
