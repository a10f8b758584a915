// What a field for a language offers, and says of what stands in it; see the macro `language_field`.

import { $ } from "./dom.js";
import { languageName } from "./words.js";

const COMMON = "en-US en-GB de es es-MX fr it ja ko nl pl pt-BR tr zh-CN".split(" ");

/** Offers these in every such field, each of which takes any other, too. */
export function offerLanguages() {
  $("languages").replaceChildren(...COMMON.map((tag) => new Option(languageName(tag), tag)));
}

/** Gives the name of the language with this tag, or, where none has it, what is wanted. */
export function languageHint(tag) {
  const name = languageName(tag);
  const isKnown = name !== "" && name.toLowerCase() !== tag.toLowerCase();
  return isKnown ? name : "A language tag, such as en or en-GB.";
}
