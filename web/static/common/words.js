// Words and numbers, as people read them.

/** What a field for a language offers; it takes any other, too. */
export const COMMON_LANGUAGES = "en-US en-GB de es es-MX fr it ja ko nl pl pt-BR tr zh-CN".split(" ");

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

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

export function count(number, unit) {
  return `${number} ${unit}${Number(number) === 1 ? "" : "s"}`;
}

export function milliseconds(ms) {
  return `${Math.max(1, Math.round(ms)).toLocaleString("en")} ms`;
}

export function seconds(s) {
  return `${s.toFixed(1)} s`;
}

/** Gives how long something took, in the unit that suits it. */
export function elapsed(ms) {
  if (ms < 1000) return milliseconds(ms);
  if (ms < 60_000) return seconds(ms / 1000);
  const whole = Math.round(ms / 1000);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function kilohertz(hz) {
  return `${hz / 1000} kHz`;
}

/** Gives US dollars; what is less than a cent with as many digits as tell it from nothing. */
export function dollars(usd) {
  const digits = usd > 0 && usd < 0.01 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
  return usd.toLocaleString("en", { style: "currency", currency: "USD", ...digits });
}

/** Gives how long ago a time was, or how far ahead it is. */
export function fromNow(timestamp) {
  const seconds = (new Date(timestamp) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return relative.format(Math.trunc(seconds / length), unit);
}

/** Gives how long ago something was, at most to the minute, as it is read again and again. */
export function ago(timestamp) {
  return Date.now() - Date.parse(timestamp) < 60_000 ? "just now" : fromNow(timestamp);
}

/** Gives a size in decimal units, as the farm counts; rounded up, lest too much looks like just enough. */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${Math.ceil(bytes / 1e5) / 10} MB`;
}

export function date(timestamp) {
  return new Date(timestamp).toLocaleDateString("en", { dateStyle: "long" });
}

export function dateAndTime(timestamp) {
  return new Date(timestamp).toLocaleString("en", { dateStyle: "long", timeStyle: "medium" });
}

/** Gives the time of day; the date, too, of what was not today. */
export function timeOrDate(timestamp) {
  const time = new Date(timestamp);
  if (time.toDateString() !== new Date().toDateString()) return dateAndTime(timestamp);
  return time.toLocaleTimeString("en", { timeStyle: "medium" });
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

/** Gives a time that is estimated, in whole seconds or minutes. */
export function about(s) {
  return `about ${s < 100 ? count(Math.max(1, Math.round(s)), "second") : count(Math.round(s / 60), "minute")}`;
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
