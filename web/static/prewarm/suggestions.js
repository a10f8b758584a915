// What was missed most lately, to be made before it is asked for again.

import { call } from "../common/api.js";
import { attemptIn } from "../common/dialog.js";
import { $, copyOf, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { showRows } from "../common/rows.js";
import { count, manner } from "../common/words.js";
import { beginIfAgreed, estimate, leftToMake } from "./estimate.js";
import { addPhrases, hasPhrase, obstacle } from "./form.js";
import { lineOf } from "./phrases.js";

const PAGE = 10;
const MOST = 200;
const EVERY_MS = 30_000;

let wanted = PAGE;
let latest = null;
let dueAt = 0;

/** Lets them be asked for anew the next time. */
export function expireSuggestions() {
  dueAt = 0;
}

/** Asks for them, but seldom: their order shall not change under somebody's hand. */
export async function askForSuggestions(signal) {
  if (performance.now() < dueAt) return latest;
  const { body } = await call(`/api/voice/prewarm/suggestions?limit=${wanted}`, { signal });
  dueAt = performance.now() + EVERY_MS;
  return body.items;
}

/** Shows them; without any those of before, as the form says something else now. */
export function showSuggestions(items = latest) {
  if (items === null) return;
  latest = items;
  $("suggested").hidden = false;
  $("no-suggestions").hidden = items.length > 0;
  $("suggested-hint").hidden = $("warm-suggested").hidden = items.length === 0;
  write($("warm-suggested"), items.length === 1 ? "Pre-warm this" : `Pre-warm these ${items.length}`);
  const hasMore = items.length === wanted && wanted < MOST;
  if (!hasMore && document.activeElement === $("more-suggestions")) $("warm-suggested").focus();
  $("more-suggestions").hidden = !hasMore;
  showRows($("suggestions"), items.map((item) => ({ ...item, id: idOf(item) })), { newRow, fill });
}

/** Names the request, however often it was missed. */
function idOf({ count: _, score: __, ...request }) {
  return encodeURIComponent(JSON.stringify(request));
}

function newRow({ phrase, personality_id, quality, format }) {
  const row = copyOf("suggestion-row");
  row.querySelector("button").addEventListener("click", () => {
    const line = lineOf(phrase);
    if (hasPhrase(line)) return;
    addPhrases(line, { personality_ids: [personality_id], qualities: [quality], formats: [format] });
  });
  return row;
}

function fill(row, item) {
  const line = lineOf(item.phrase);
  const button = row.querySelector("button");
  write(row.querySelector(".phrase"), item.phrase);
  write(row.querySelector(".about"), about(item).join(" · "));
  write(row.querySelector(".badge"), item.count === 1 ? "once" : count(item.count, "time"));
  const reason = line === null ? withoutLine(item) : obstacle(item);
  button.hidden = reason !== "";
  write(row.querySelector(".why-not"), reason);
  write(button, line !== null && hasPhrase(line) ? "Added" : "Add");
  button.ariaLabel = `${button.textContent}: ${item.phrase}`;
}

/** Says why a phrase cannot be in a list. */
function withoutLine({ phrase }) {
  return phrase.trimStart().startsWith("#") ? "begins with #" : "in paragraphs";
}

/** Tells who was to say it, and how, as far as that is not as ever. */
function about({ personality_id, provider, fallback, ...others }) {
  return [
    roster.nameOf(personality_id),
    ...manner(others),
    provider && `${provider} only`,
    fallback !== "any" && `fallback ${fallback}`,
  ].filter(Boolean);
}

/** Gives the batch that is begun of them, and its phrases; null when there is none. */
async function warm() {
  write($("suggested-news"), "Working out what it takes…");
  try {
    const asked = { top: latest.length };
    const phrases = latest.map(({ phrase }) => phrase);
    const estimated = await estimate(asked);
    const isThere = leftToMake(estimated) === 0;
    write($("suggested-news"), isThere ? "All of it that can be spoken now is cached already." : "");
    const batch = isThere ? null : await beginIfAgreed(asked, estimated);
    return batch && { batch, phrases };
  } catch (error) {
    write($("suggested-news"), "");
    throw error;
  }
}

/** `onBegun` gets a batch that was begun, and its phrases; `onMore` is told when more shall be asked for. */
export function startSuggestions({ onBegun, onMore }) {
  $("suggested").addEventListener("submit", (event) => {
    event.preventDefault();
    attemptIn($("suggested"), async () => {
      const begun = await warm();
      if (begun) onBegun(begun.batch, begun.phrases);
    });
  });
  $("more-suggestions").addEventListener("click", () => {
    wanted = Math.min(wanted + PAGE, MOST);
    expireSuggestions();
    onMore();
  });
}
