// The batches that there are: how far each is, what failed in it, and cancelling it.

import { call } from "../common/api.js";
import { attemptIn, confirmed } from "../common/dialog.js";
import { $, copyOf, write } from "../common/dom.js";
import { rowOf, showRows } from "../common/rows.js";
import { dateAndTime, duration, moment } from "../common/times.js";
import { count, grouped, isOrAre, shortened } from "../common/words.js";
import { allFailed, showFailed } from "./failures.js";

const ADDRESS = "/api/voice/batches";
const PAGE = 6;
const MOST_A_PAGE = 200;
const ID_LENGTH = 8;
const PHRASE_LENGTH = 80;
const STATES = { running: "Running", finished: "Finished", cancelled: "Cancelled" };

/** How those that were begun on this visit begin: the farm does not tell what a batch holds. */
const openings = new Map();
let shown = [];
let wanted = PAGE;
let retry;
let changed;

/** Asks for as many as are shown, newest first; `hasMore` tells whether there are older ones. */
export async function askForBatches(signal) {
  const items = [];
  let cursor = "";
  while (cursor !== null && items.length < wanted) {
    const limit = Math.min(wanted - items.length, MOST_A_PAGE);
    const { body } = await call(`${ADDRESS}?${new URLSearchParams({ limit, cursor })}`, { signal });
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  return { items, hasMore: cursor !== null };
}

/** Shows them; gives those that have ended since they were shown last. */
export function showBatches({ items, hasMore }) {
  $("batches-loading").hidden = true;
  const before = new Map(shown.map((batch) => [batch.id, batch]));
  showAll(items);
  if (!hasMore && document.activeElement === $("more-batches")) heading(items.at(-1).id).focus();
  $("more-batches").hidden = !hasMore;
  return items.filter(({ id, finished_at }) => finished_at && before.get(id)?.finished_at === null);
}

/** Shows one that was begun here, above all others. */
export function showNewBatch(batch, [first, ...others]) {
  const more = others.length > 0 ? ` and ${count(others.length, "other phrase")}` : "";
  openings.set(batch.id, `“${shortened(first, PHRASE_LENGTH)}”${more}`);
  showAll([batch, ...shown]);
  rowOf($("batches"), batch.id).scrollIntoView({ block: "nearest" });
}

function showAll(batches) {
  shown = batches;
  $("no-batches").hidden = shown.length > 0;
  showRows($("batches"), shown, { newRow, fill });
}

const batchOf = (id) => shown.find((batch) => batch.id === id);
const heading = (id) => rowOf($("batches"), id).querySelector("h4");

/** Gives in one sentence how a batch has ended. */
export function endOf({ status, total, counts }) {
  const failed = counts.failed > 0 ? `, ${grouped(counts.failed)} failed` : "";
  return `The batch of ${grouped(total)} is ${status}: ${grouped(counts.succeeded)} ${isOrAre(counts.succeeded)} there${failed}.`;
}

function newRow({ id }) {
  const row = copyOf("batch-row");
  const on = (name, action) => row.querySelector(`[data-action=${name}]`).addEventListener("click", action);
  on("cancel", () => cancel(batchOf(id)));
  on("retry", () => attemptIn(row, async () => retry(await allFailed(batchOf(id)))));
  row.querySelector("details").addEventListener("toggle", () => showReasons(row, batchOf(id)));
  return row;
}

function fill(row, batch) {
  const { status, total, already_cached, counts, created_at } = batch;
  const cached = already_cached > 0 ? ` · ${grouped(already_cached)} cached before` : "";
  write(row.querySelector("h4"), count(total, "piece"));
  write(row.querySelector(".about"), `Begun ${moment(created_at)}${cached} · ID ${batch.id.slice(0, ID_LENGTH)}`);
  row.querySelector(".about").title = `Begun on ${dateAndTime(created_at)} · ID ${batch.id}`;
  write(row.querySelector(".phrase"), openings.get(batch.id) ?? "");
  write(row.querySelector(".badge"), STATES[status]);
  row.querySelector(".badge").dataset.status = status === "finished" && counts.failed > 0 ? "failed" : status;
  const progress = row.querySelector("progress");
  Object.assign(progress, { max: total, value: total - counts.queued - counts.running - counts.cancelled });
  write(row.querySelector(".standing"), standing(batch));
  const hasFailed = counts.failed > 0;
  row.querySelector(".row-actions").hidden = row.querySelector("details").hidden = !hasFailed;
  name(row, `batch of ${grouped(total)}, begun ${moment(created_at)}`);
  showCancelling(row, status === "running");
  showReasons(row, batch);
}

function name(row, label) {
  for (const button of row.querySelectorAll("[data-action]")) button.ariaLabel = `${button.textContent}: ${label}`;
  row.querySelector("progress").ariaLabel = `Progress: ${label}`;
  row.querySelector(".reasons").ariaLabel = `What failed: ${label}`;
}

function showCancelling(row, canBe) {
  const button = row.querySelector("[data-action=cancel]");
  if (!canBe && document.activeElement === button) row.querySelector("h4").focus();
  button.hidden = !canBe;
}

/** Says how far a batch is, or what came of it. */
function standing({ status, total, counts, eta_seconds, created_at, finished_at }) {
  const { succeeded, failed, running } = counts;
  if (status === "running") {
    return told(`${grouped(succeeded + failed)} of ${grouped(total)}`, failed, `about ${duration(eta_seconds)} left`);
  }
  const made = `${grouped(succeeded)} of ${grouped(total)} ${isOrAre(succeeded)} there`;
  if (finished_at === null) return told(made, failed, `${grouped(running)} still being made`);
  return told(made, failed, `took ${duration((new Date(finished_at) - new Date(created_at)) / 1000)}`);
}

function told(made, failed, more) {
  return [made, failed > 0 && `${grouped(failed)} failed`, more].filter(Boolean).join(" · ");
}

/** Follows what failed while somebody looks at it. */
async function showReasons(row, batch) {
  const place = row.querySelector(".reasons");
  const { failed } = batch.counts;
  if (!row.querySelector("details").open || place.dataset.shown === String(failed)) return;
  place.dataset.shown = failed;
  await attemptIn(row, async () => showFailed(place, await allFailed(batch)));
}

async function cancel({ id, total, counts }) {
  await confirmed({
    title: `Cancel the batch of ${grouped(total)}?`,
    text: `What has begun is still made, and what is there stays. Not made: ${grouped(counts.queued)} of ${grouped(total)}.`,
    yes: "Cancel the batch",
    no: "Let it go on",
    async action() {
      const { body } = await call(`${ADDRESS}/${id}`, { method: "DELETE" });
      showAll(shown.map((batch) => (batch.id === id ? body : batch)));
    },
  });
  changed();
  if (rowOf($("batches"), id)?.querySelector("[data-action=cancel]").hidden) heading(id).focus();
}

/** `onRetry` gets what failed of a batch; `onChange` is told when they shall be asked for at once. */
export function startBatches({ onRetry, onChange }) {
  retry = onRetry;
  changed = onChange;
  $("more-batches").addEventListener("click", () => {
    wanted += PAGE;
    changed();
  });
}
