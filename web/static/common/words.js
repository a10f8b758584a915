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
const languages = new Intl.DisplayNames(["en"], { type: "language" });

export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

export function count(number, unit, units = `${unit}s`) {
  return `${grouped(number)} ${Number(number) === 1 ? unit : units}`;
}

/** Gives a number with its thousands set apart. */
export function grouped(number) {
  return Number(number).toLocaleString("en");
}

export function milliseconds(ms) {
  return `${Math.max(1, Math.round(ms)).toLocaleString("en")} ms`;
}

export function seconds(s) {
  return `${s.toFixed(1)} s`;
}

/** Gives a length of time in the largest unit of which it has two. */
export function duration(s) {
  const [unit, length] = UNITS.find(([, length]) => s >= 2 * length) ?? ["second", 1];
  return count(Math.max(1, Math.round(s / length)), unit);
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

/** Gives a size in decimal units, as the farm counts; rounded up, lest too much looks like just enough. */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e5) / 10} MB` : `${Math.ceil(bytes / 1e8) / 10} GB`;
}

export function date(timestamp) {
  return new Date(timestamp).toLocaleDateString("en", { dateStyle: "long" });
}

/** Gives the time of a day, and the day unless it is today. */
export function moment(timestamp) {
  const then = new Date(timestamp);
  const isToday = then.toDateString() === new Date().toDateString();
  const day = isToday ? "today" : `on ${then.toLocaleDateString("en", { month: "long", day: "numeric" })}`;
  return `${day} at ${then.toLocaleTimeString("en", { timeStyle: "short" })}`;
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
