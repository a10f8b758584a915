// The dialog with all that is known of a job.

import { Problem } from "../common/api.js";
import { makeCopyButton } from "../common/copying.js";
import { attemptIn, openDialog } from "../common/dialog.js";
import { $, copyOf, element, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import * as times from "../common/times.js";
import * as words from "../common/words.js";
import { askAgain, audioOf, cancelJob } from "./job-api.js";
import { isPending } from "./job-list.js";
import { canBeAskedAgain, showState } from "./job-row.js";

// What a browser's player does not take: it is samples without a header.
const NOT_PLAYED = "pcm";
const REMEDIES = {
  synthesis_failed: "What each provider said stands below. Mend that, then try again.",
  deadline_exceeded: "The part Farm tells who can speak. Then try again.",
};

/**
 * Opens it; gives what shows the job anew (`show`), tells that it is no longer kept (`lose`), and closes it.
 * `onCancelled` gets the job and how it stands then (null: it is no longer kept), `onAsked` a new one.
 */
export function openJob(job, { onCancelled, onAsked, onClosed }) {
  const dialog = openDialog("job-dialog");
  const form = $("job");
  let current = job;

  function show(now) {
    current = now;
    fill(current);
  }

  $("job-cancel").addEventListener("click", () =>
    attemptIn(form, async () => onCancelled(current, await cancelJob(current.id))),
  );
  $("job-again").addEventListener("click", () =>
    attemptIn(form, async () => {
      const made = await askAgain(current);
      dialog.close();
      onAsked(made);
    }),
  );
  makeCopyButton($("job-copy"), () => job.id);
  $("job-audio").addEventListener("error", () => {
    $("job-audio").hidden = true;
    write($("job-unheard"), "Its sound is no longer kept, or this browser cannot play it.");
  });
  dialog.addEventListener("close", onClosed);
  show(job);
  return { id: job.id, show, lose, close: () => dialog.close() };
}

function fill(job) {
  const { status, request, error, attempts, id } = job;
  write($("job-title"), `Job for ${roster.nameOf(request.personality_id)}`);
  showState($("job-state"), status);
  write($("job-standing"), standing(job));
  write($("job-text"), request.text);
  $("job-text").lang = request.language;
  $("job-failure").hidden = !error;
  if (error) fillFailure(error);
  if (job.audio) fillSound(job);
  fillFacts($("job-request"), requestFacts(request));
  fillFacts($("job-outcome"), outcomeFacts(job));
  fillAttempts(attempts);
  write($("job-id"), id);
  leave({ cancel: isPending(job), again: canBeAskedAgain(job) });
}

function standing({ status, queue, started_at, provider, cache_status }) {
  if (status === "queued") return queue ? words.placeInLine(queue) : "It waits for its turn.";
  if (status === "running") return `It is being spoken since ${times.timeOrDate(started_at)}.`;
  if (status === "succeeded") return `Spoken by ${provider}. ${words.CACHE[cache_status]}`;
  return status === "cancelled" ? "Nobody speaks it." : "";
}

function fillFailure(error) {
  const { title, message } = new Problem(error);
  write($("job-failure-title"), title);
  write($("job-failure-note"), [message, REMEDIES[error.code]].filter(Boolean).join(" "));
}

function fillSound({ id, degraded, audio: { format } }) {
  if (!$("job-sound").hidden) return;
  $("job-sound").hidden = false;
  $("job-degraded").hidden = !degraded;
  $("job-download").href = audioOf(id);
  $("job-download").download = `${id}.${format}`;
  $("job-audio").hidden = format === NOT_PLAYED;
  if (format === NOT_PLAYED) write($("job-unheard"), "Browsers do not play raw samples.");
  else $("job-audio").src = audioOf(id);
}

function requestFacts({ personality_id, language, quality, format, speed, pitch, provider, fallback }) {
  return {
    Personality: roster.nameOf(personality_id),
    Language: words.languageName(language) || language,
    Quality: quality,
    Format: format,
    Speed: `${speed} ×`,
    Pitch: words.count(pitch, "semitone"),
    Provider: provider ?? "by quality",
    Fallback: provider ? "never" : fallback,
  };
}

function outcomeFacts({ created_at, started_at, finished_at, provider, cache_status, degraded, queue, audio }) {
  const between = (from, to) => from && to && times.elapsed(Math.max(0, Date.parse(to) - Date.parse(from)));
  return {
    Provider: provider,
    Queue: queue?.name,
    Cache: cache_status,
    Degraded: audio && (degraded ? "yes" : "no"),
    Length: audio && times.seconds(audio.duration_ms / 1000),
    Size: audio && words.size(audio.bytes),
    "Sample rate": audio && words.kilohertz(audio.sample_rate),
    Asked: times.timeOrDate(created_at),
    Began: started_at && times.timeOrDate(started_at),
    Ended: finished_at && times.timeOrDate(finished_at),
    Took: between(created_at, finished_at),
  };
}

/** Keeps what is there, lest what somebody reads or has marked goes. */
function fillFacts(list, facts) {
  const told = Object.entries(facts).filter(([, fact]) => fact);
  for (const entry of [...list.children]) {
    if (!told.some(([name]) => name === entry.firstChild.textContent)) entry.remove();
  }
  told.forEach(([name, fact], place) => {
    const present = list.children[place];
    if (present?.firstChild.textContent === name) return write(present.lastChild, fact);
    const entry = element("div", "");
    entry.append(element("dt", name), element("dd", fact));
    list.insertBefore(entry, present ?? null);
  });
}

/** Attempts are added to, and never change. */
function fillAttempts(attempts) {
  $("job-attempts").hidden = attempts.length === 0;
  const body = $("job-attempts").querySelector("tbody");
  for (const { provider, code, detail, duration_ms: ms } of attempts.slice(body.children.length)) {
    const row = copyOf("job-attempt");
    const texts = [provider, detail, code, ms === 0 ? "Not asked" : times.elapsed(ms)];
    [...row.querySelectorAll("[data-fact]")].forEach((place, number) => write(place, texts[number]));
    body.append(row);
  }
}

function lose() {
  leave({ cancel: false, again: false });
  $("job-sound").hidden = true;
  write($("job-standing"), "It is no longer kept.");
}

/** Leaves of the buttons those that can be used; where the one with the focus goes, the last one gets it. */
function leave({ cancel, again }) {
  const focused = document.activeElement;
  $("job-cancel").hidden = !cancel;
  $("job-again").hidden = !again;
  if (focused.hidden) $("job-close").focus();
}
