// A job as a row of the list.

import { Problem } from "../common/api.js";
import { copyOf, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { about, ago, dateAndTime, elapsed } from "../common/times.js";
import { capitalized, count, shortened } from "../common/words.js";
import { isPending } from "./job-list.js";

const TEXT_LENGTH = 160;
const LABEL_LENGTH = 40;

/** Makes an empty one; each of the functions gets the row when its button is pressed. */
export function newRow({ onOpen, onCancel, onAgain }) {
  const row = copyOf("job-row");
  row.querySelector(".job-text").addEventListener("click", () => onOpen(row));
  row.querySelector("[data-action=cancel]").addEventListener("click", () => onCancel(row));
  row.querySelector("[data-action=again]").addEventListener("click", () => onAgain(row));
  return row;
}

/** Shows a job as it stands now; `note` tells what somebody's doing came to, and whether that is bad. */
export function fillRow(row, job, note) {
  const { status, request, created_at: createdAt, cache_status: cache, degraded } = job;
  const place = (name) => row.querySelector(name);
  showState(place(".state"), status);
  write(place(".job-text"), shortened(request.text, TEXT_LENGTH));
  place(".job-text").lang = request.language;
  write(place(".about"), aboutIt(job));
  write(place("[data-cache]"), cache);
  place("[data-cache]").dataset.cache = cache;
  place(".degraded").hidden = !degraded;
  const { text, isBad } = note ?? reasonOf(job);
  write(place(".job-note"), text);
  place(".job-note").classList.toggle("is-bad", isBad);
  write(place(".job-standing"), standing(job));
  write(place(".job-eta"), job.queue ? `${about(job.queue.eta_seconds)} · ` : "");
  write(place("time"), ago(createdAt));
  place("time").dateTime = createdAt;
  place("time").title = dateAndTime(createdAt);
  offer(row, job);
}

export function showState(badge, status) {
  write(badge, capitalized(status));
  badge.dataset.status = status;
}

function aboutIt({ request, provider, queue, attempts }) {
  const speaker = provider ?? queue?.name ?? request.provider;
  const failed = attempts.length > 0 && count(attempts.length, "failed attempt");
  const facts = [roster.nameOf(request.personality_id), request.quality, request.format, speaker, failed];
  return facts.filter(Boolean).join(" · ");
}

function reasonOf({ error }) {
  return { text: error ? `${new Problem(error).title}.` : "", isBad: true };
}

/** Tells how far a job is, or how long it took from being asked for to its end. */
function standing({ status, queue, created_at, started_at, finished_at, cache_status }) {
  if (status === "queued") return queue ? `Number ${queue.position} in line` : "in line";
  if (status === "running") return `for ${elapsed(Math.max(0, Date.now() - Date.parse(started_at)))}`;
  if (cache_status === "HIT") return "at once";
  return `${status === "succeeded" ? "in" : "after"} ${elapsed(Date.parse(finished_at) - Date.parse(created_at))}`;
}

/** Offers what can be done; where the button with the focus goes, another one gets it. */
function offer(row, job) {
  const focused = document.activeElement;
  const [cancel, again] = row.querySelectorAll("[data-action]");
  cancel.hidden = !isPending(job);
  again.hidden = !canBeAskedAgain(job);
  const label = shortened(job.request.text, LABEL_LENGTH);
  cancel.ariaLabel = `Cancel: ${label}`;
  again.ariaLabel = `Try again: ${label}`;
  if (focused.hidden && row.contains(focused)) {
    (again.hidden ? row.querySelector(".job-text") : again).focus();
  }
}

export function canBeAskedAgain({ status }) {
  return status === "failed" || status === "cancelled";
}
