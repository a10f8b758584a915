// Lengths of time and moments, as people read them.

import { count } from "./words.js";

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

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

/** Gives a length of time in the largest unit of which it has two. */
export function duration(s) {
  const [unit, length] = UNITS.find(([, length]) => s >= 2 * length) ?? ["second", 1];
  return count(Math.max(1, Math.round(s / length)), unit);
}

/** Gives a time that is estimated, in whole seconds or minutes. */
export function about(s) {
  return `about ${s < 100 ? count(Math.max(1, Math.round(s)), "second") : count(Math.round(s / 60), "minute")}`;
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

/** Gives the time of a day, and the day unless it is today. */
export function moment(timestamp) {
  const then = new Date(timestamp);
  const isToday = then.toDateString() === new Date().toDateString();
  const day = isToday ? "today" : `on ${then.toLocaleDateString("en", { month: "long", day: "numeric" })}`;
  return `${day} at ${then.toLocaleTimeString("en", { timeStyle: "short" })}`;
}
