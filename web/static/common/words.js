// Words and numbers, as people read them.

/** What a field for a language offers; it takes any other, too. */
export const COMMON_LANGUAGES = "en-US en-GB de es es-MX fr it ja ko nl pl pt-BR tr zh-CN".split(" ");

const languages = new Intl.DisplayNames(["en"], { type: "language" });

export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

export function count(number, unit) {
  return `${number} ${unit}${Number(number) === 1 ? "" : "s"}`;
}

export function milliseconds(ms) {
  return `${Math.max(1, Math.round(ms)).toLocaleString("en")} ms`;
}

export function seconds(s) {
  return `${s.toFixed(1)} s`;
}

export function kilohertz(hz) {
  return `${hz / 1000} kHz`;
}

/** Gives a size in decimal units, as the farm counts; rounded up, lest too much looks like just enough. */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${Math.ceil(bytes / 1e5) / 10} MB`;
}

export function date(timestamp) {
  return new Date(timestamp).toLocaleDateString("en", { dateStyle: "long" });
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
