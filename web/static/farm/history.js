// The cache over time: charts of what was answered from it, and of what it holds.

import { call } from "../common/api.js";
import { $, write } from "../common/dom.js";
import { Poll } from "../common/poll.js";
import { duration } from "../common/times.js";
import { size } from "../common/words.js";

const EVERY_MS = 60_000;
const GAP = 1.5; // so many intervals without a point are a time without a farm
const LINE = 2; // so many points make one

const form = $("history-card");
const percent = (share) => `${share.toFixed(0)} %`;
const number = (amount) => Math.round(amount).toLocaleString("en");

/** Each chart: where it is, what of a point it shows, and how its numbers are written. */
const CHARTS = [
  { id: "hit-rate-chart", of: (point) => point.hit_rate, write: percent, least: 1, range: [0, 100] },
  { id: "entries-chart", of: (point) => point.entries, write: number, least: 1 },
  { id: "bytes-chart", of: (point) => point.bytes, write: size, least: 1000 },
];

let drawn = null;

async function ask(signal) {
  const hours = form.querySelector("[name=period]:checked").value;
  const charts = import("./charts.js"); // large, and seldom looked at
  const { body } = await call(`/api/voice/cache/history?hours=${hours}`, { signal });
  return { ...body, charts: await charts };
}

function show({ points, interval_seconds, charts }) {
  const known = points.filter(({ entries }) => entries !== null).length;
  write($("history-news"), missing(known, interval_seconds));
  $("charts").hidden = known < LINE;
  if (known < LINE) return;
  const whole = withGaps(points, interval_seconds);
  drawn ??= CHARTS.map((chart) => charts.makeChart($(chart.id), chart));
  drawn.forEach((chart, place) => chart.show(whole.map(({ at }) => at), whole.map(CHARTS[place].of)));
}

/** Says why there is no line yet; nothing where there is one. */
function missing(known, intervalS) {
  if (known >= LINE) return "";
  const begins = known === 0 ? "Nothing was recorded in this time yet" : "The history of this time has just begun";
  return `${begins}: there is a point every ${duration(intervalS)}. Come back in ${duration(LINE * intervalS)}.`;
}

/** Gives the points with their times in seconds, and an empty one where some are missing. */
function withGaps(points, intervalS) {
  const whole = [];
  for (const point of points) {
    const at = Date.parse(point.at) / 1000;
    if (whole.length > 0 && at - whole.at(-1).at > GAP * intervalS) {
      whole.push({ at: whole.at(-1).at + intervalS, hit_rate: null, entries: null, bytes: null });
    }
    whole.push({ ...point, at });
  }
  return whole;
}

export const historyPoll = new Poll({
  ask,
  everyMs: EVERY_MS,
  onAnswer: show,
  onTrouble: ({ title, message }) => write($("history-news"), `${title}. ${message}`),
});

export function startHistory() {
  form.addEventListener("change", () => historyPoll.now());
}
