// Words and numbers, as people read them; `times.js` has those of time.

import { about } from "./times.js";

/** What the cache had to do with an answer. */
export const CACHE = {
  HIT: "It was in the cache already.",
  MISS: "It was made for this request.",
  COALESCED: "It was in the making already, for another request.",
};

const languages = new Intl.DisplayNames(["en"], { type: "language" });

export function sentence(text) {
  const trimmed = text.trim();
  return capitalized(trimmed) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

export function count(number, unit, units = `${unit}s`) {
  return `${grouped(number)} ${Number(number) === 1 ? unit : units}`;
}

/** Gives a number with its thousands set apart, and with a true minus. */
export function grouped(number) {
  return Number(number).toLocaleString("en").replace("-", "−");
}

/** Gives the verb that goes with a number. */
export function isOrAre(number) {
  return Number(number) === 1 ? "is" : "are";
}

/** Tells how something is to be spoken, in the words of a request; not the speed and the pitch that are normal. */
export function manner({ language, quality, format, speed = 1, pitch = 0 }) {
  return [
    language && (languageName(language) || language),
    quality,
    format,
    speed !== 1 && `speed ${speed}`,
    pitch !== 0 && `pitch ${grouped(pitch)}`,
  ].filter(Boolean);
}

export function kilohertz(hz) {
  return `${hz / 1000} kHz`;
}

/** Gives US dollars; what is less than a cent with as many digits as tell it from nothing. */
export function dollars(usd) {
  const digits = usd > 0 && usd < 0.01 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
  return usd.toLocaleString("en", { style: "currency", currency: "USD", ...digits });
}

/** Gives a size in decimal units, as the farm counts; rounded up, lest too much looks like just enough. */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e5) / 10} MB` : `${Math.ceil(bytes / 1e8) / 10} GB`;
}

/** Gives a text's beginning, if it has more than so many characters. */
export function shortened(text, most) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("").trimEnd()}…` : text;
}

export function capitalized(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Tells where a job waits, and about how long it will. */
export function placeInLine({ name, position, eta_seconds: etaSeconds }) {
  return `Number ${position} in line for ${name}; ${about(etaSeconds)}.`;
}

/** Gives the name of a BCP 47 language; an empty one for what is no such tag, the tag for what has no name. */
export function languageName(tag) {
  try {
    return languages.of(tag);
  } catch (error) {
    if (error instanceof RangeError) return "";
    throw error;
  }
}
