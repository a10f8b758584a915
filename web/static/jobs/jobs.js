// The part Jobs: what was asked for, and what becomes of it.

import { Problem } from "../common/api.js";
import { $, element, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { Poll } from "../common/poll.js";
import { rowOf, showRows } from "../common/rows.js";
import { showTrouble } from "../common/trouble.js";
import { count, shortened } from "../common/words.js";
import { askAgain, cancelJob, jobOf, pageOf } from "./job-api.js";
import { openJob } from "./job-dialog.js";
import { JobList, isPending } from "./job-list.js";
import { fillRow, newRow } from "./job-row.js";

const ASKED_EVERY_MS = 2000;
const SHOWN_EVERY_MS = 1000;
// For so long after it moved, a pointer may be about to press what is below it.
const POINTING_MS = 3000;
const NAME_LENGTH = 60;

const list = new JobList();
const notes = new Map();
const poll = new Poll({ ask, everyMs: ASKED_EVERY_MS, onAnswer: take, onTrouble });
let problem = null;
let opened = null;
let pointedAt = -POINTING_MS;
let older = new AbortController();
let ticking = null;

// ---- Following the farm

/** Asks for the first page, and by its ID for what it does not have, may change, and is looked at. */
async function ask(signal) {
  const watched = list.jobs.filter((job) => isPending(job) && !list.isInHead(job.id) && isLookedAt(job.id));
  const [head, ...others] = await Promise.all([
    pageOf(list.filter, { signal }),
    ...watched.map(({ id }) => jobOf(id, { signal })),
  ]);
  return { head, others: new Map(watched.map(({ id }, place) => [id, others[place]])) };
}

function isLookedAt(id) {
  const { top, bottom } = rowOf($("job-list"), id).getBoundingClientRect();
  return opened?.id === id || (bottom > 0 && top < innerHeight);
}

function take({ head, others }) {
  problem = null;
  for (const [id, job] of others) learn(id, job);
  list.take(head, { mayMove: !isInHand() });
  show();
}

/** Takes what the farm tells of one job; null when it is no longer kept. */
function learn(id, job) {
  if (job) list.update(job);
  else list.drop(id);
  if (!job && opened?.id === id) opened.lose();
}

function onTrouble(found) {
  problem = found;
  show();
}

/** Tells whether rows that come and go now would do so under somebody's eyes or hand. */
function isInHand() {
  const place = $("job-list");
  return (
    opened !== null ||
    place.getBoundingClientRect().top < 0 ||
    place.querySelector(":focus-visible") !== null ||
    performance.now() - pointedAt < POINTING_MS
  );
}

// ---- Showing it

function show() {
  const { jobs, filter, isTold, cursor, newer } = list;
  const isFiltered = Boolean(filter.status || filter.personality_id);
  const isEmpty = isTold && jobs.length === 0;
  $("jobs-loading").hidden = isTold || problem !== null;
  showTrouble("jobs", problem, { isStale: jobs.length > 0 });
  $("no-jobs").hidden = !isEmpty || isFiltered;
  $("no-such-jobs").hidden = !isEmpty || !isFiltered;
  write($("no-such-jobs-note"), `None ${cursor === null ? "that is kept" : "of the newest"} fits what is chosen.`);
  $("newer-jobs").hidden = newer === 0;
  write($("newer-jobs"), list.isOutrun ? "Show the newest jobs" : `Show ${count(newer, "new job")}`);
  $("older-jobs").hidden = cursor === null;
  $("job-list").ariaBusy = !isTold;
  showJobs();
}

function showJobs() {
  showRows($("job-list"), list.jobs, {
    newRow: () => newRow({ onOpen: open, onCancel: cancel, onAgain: again }),
    fill: (row, job) => fillRow(row, job, notes.get(job.id)),
  });
  const job = opened && list.get(opened.id);
  if (job) opened.show(job);
}

function offerPersonalities() {
  if (roster.everyone === null) return;
  const select = $("job-personality");
  const chosen = select.value;
  const everybody = element("option", "Everybody", { value: "" });
  select.replaceChildren(
    everybody,
    ...roster.everyone.map(({ id, personality_name: name }) => element("option", name, { value: id })),
  );
  select.value = chosen;
  if (select.value !== chosen) select.value = "";
  showJobs();
}

// ---- The person at the page

function filterAnew() {
  older.abort();
  notes.clear();
  sayOlder("");
  list.select(Object.fromEntries(new FormData($("job-filter"))));
  show();
  poll.now();
}

function clearFilter() {
  $("job-filter").reset();
  $("job-filter").querySelector(":checked").focus();
  filterAnew();
}

function showNewer() {
  list.reveal();
  show();
  focusOn(list.jobs[0].id);
}

/** Goes on until there is one to show, as a page of few jobs among many may be empty. */
async function showOlder() {
  await attempt($("older-jobs"), sayOlder, async () => {
    older = new AbortController();
    const { signal } = older;
    const before = list.jobs.length;
    while (list.cursor !== null && list.jobs.length === before) {
      list.append(await pageOf(list.filter, { cursor: list.cursor, signal }));
    }
    show();
    if (list.jobs.length > before) focusOn(list.jobs[before].id);
    else sayOlder("There are no older ones.");
  });
}

const sayOlder = (text) => write($("older-note"), text);

function focusOn(id) {
  const row = rowOf($("job-list"), id);
  row.scrollIntoView({ block: "nearest" });
  row.querySelector(".job-text").focus({ preventScroll: true });
}

function open({ dataset: { id } }) {
  opened = openJob(list.get(id), { onCancelled, onAsked, onClosed });
}

function onClosed() {
  opened = null;
}

function cancel(row) {
  const job = list.get(row.dataset.id);
  attempt(row, sayOf(job.id), async () => onCancelled(job, await cancelJob(job.id)));
}

function again(row) {
  const job = list.get(row.dataset.id);
  attempt(row, sayOf(job.id), async () => onAsked(await askAgain(job)));
}

/** Does one thing at a time at one place; what stands against it is said there. */
async function attempt(place, say, action) {
  if (place.dataset.busy) return;
  place.dataset.busy = "true";
  say("");
  try {
    await action();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    say(`${error.title}. ${error.message}`);
  } finally {
    delete place.dataset.busy;
  }
}

/** `after`: the job as it stands now; null when it is no longer kept. */
function onCancelled(job, after) {
  learn(job.id, after);
  if (!after) tell(`No longer kept: ${nameOf(job)}`);
  else if (after.status === "cancelled") tell(`Cancelled: ${nameOf(job)}`);
  else sayOf(job.id)(`It had ${after.status} before it could be cancelled.`, false);
  show();
  poll.now();
}

function onAsked(job) {
  list.prepend(job);
  show();
  focusOn(job.id);
  tell(`Asked again: ${nameOf(job)}`);
  poll.now();
}

function nameOf({ request: { text } }) {
  return `“${shortened(text, NAME_LENGTH)}”`;
}

/** Gives what says something in a job's row. */
function sayOf(id) {
  return (text, isBad = true) => {
    if (text) notes.set(id, { text, isBad });
    else notes.delete(id);
    tell(text);
    showJobs();
  };
}

/** Tells who does not see the rows. */
function tell(text) {
  write($("jobs-news"), text);
}

function enter() {
  list.select(list.filter);
  show();
  poll.start();
  ticking = setInterval(showJobs, SHOWN_EVERY_MS);
}

function leave() {
  poll.stop();
  clearInterval(ticking);
  older.abort();
  opened?.close();
  notes.clear();
  tell("");
  sayOlder("");
}

export function startJobs() {
  $("job-filter").addEventListener("change", filterAnew);
  $("job-filter").addEventListener("submit", (event) => event.preventDefault());
  $("all-jobs").addEventListener("click", clearFilter);
  $("newer-jobs").addEventListener("click", showNewer);
  $("older-jobs").addEventListener("click", showOlder);
  $("jobs-again").addEventListener("click", () => poll.now());
  $("job-list").addEventListener("pointermove", () => (pointedAt = performance.now()));
  $("job-list").addEventListener("pointerleave", () => (pointedAt = -POINTING_MS));
  roster.addEventListener("change", offerPersonalities);
  return { enter, leave };
}
