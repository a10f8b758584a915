// The part Pre-warm: what is made before it is asked for.

import { Problem } from "../common/api.js";
import { $, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { Poll } from "../common/poll.js";
import { showTrouble } from "../common/trouble.js";
import { count } from "../common/words.js";
import { askForBatches, endOf, showBatches, showNewBatch, startBatches } from "./batches.js";
import { fillForm, startForm } from "./form.js";
import { startMaking } from "./making.js";
import { lineOf } from "./phrases.js";
import { askForSuggestions, expireSuggestions, showSuggestions, startSuggestions } from "./suggestions.js";

const EVERY_MS = 1500;

const poll = new Poll({
  ask: (signal) => Promise.all([askForBatches(signal), askForSuggestions(signal)]),
  everyMs: EVERY_MS,
  onAnswer: show,
  onTrouble: showProblem,
});
let isShown = false;

function show([batches, suggestions]) {
  isShown = true;
  showTrouble("prewarm", null, { isStale: false });
  const ended = showBatches(batches);
  showSuggestions(suggestions);
  if (ended.length > 0) write($("prewarm-news"), ended.map(endOf).join(" "));
}

function showProblem(problem) {
  $("batches-loading").hidden = true;
  showTrouble("prewarm", problem, { isStale: isShown });
}

function onBegun(batch, phrases) {
  write($("prewarm-news"), "It is begun. What somebody waits for goes first.");
  showNewBatch(batch, phrases);
  poll.now();
}

/** Puts what failed into the form, and tells of what has no line there. */
async function onRetry(failed) {
  const values = (field) => [...new Set(failed.map((item) => item[field]))];
  const phrases = values("phrase");
  const lines = phrases.map(lineOf).filter((line) => line !== null);
  const without = phrases.length - lines.length;
  const note = without > 0 ? `${count(without, "phrase")} in paragraphs cannot be put here, where one is a line.` : "";
  if (lines.length === 0) throw new Problem({ title: "The form cannot hold this", detail: note });
  const wanted = {
    personality_ids: values("personality_id"),
    qualities: values("quality"),
    formats: values("format"),
  };
  await fillForm([...new Set(lines)], wanted, note);
}

export function startPrewarming() {
  startForm({ onChange: () => showSuggestions() });
  startMaking({ onBegun });
  startBatches({ onRetry, onChange: () => poll.now() });
  startSuggestions({ onBegun, onMore: () => poll.now() });
  $("prewarm-again").addEventListener("click", () => {
    if (roster.problem) roster.load();
    poll.now();
  });
  return {
    enter() {
      expireSuggestions();
      poll.start();
    },
    leave() {
      poll.stop();
    },
  };
}
