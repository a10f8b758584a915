// The part Speak: asks for speech, plays it, and says what came of it.

import { Problem } from "../common/api.js";
import { $, clearMarks, copyOf, element, markField, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { speak } from "./synthesis.js";
import { count, milliseconds, seconds, sentence } from "../common/words.js";

const HISTORY_LENGTH = 8;
const CACHE = {
  HIT: "It was in the cache already.",
  MISS: "It was made for this request.",
  COALESCED: "It was in the making already, for another request.",
};

const form = $("speech");
const audio = $("audio");
let running = new AbortController();

// ---- Showing what came of it

function show(state, headline, note = "") {
  const outcome = $("outcome");
  const isNews = outcome.dataset.state !== state;
  outcome.dataset.state = state;
  write($("headline"), headline);
  write($("note"), note);
  if (isNews) outcome.scrollIntoView({ block: "nearest" });
}

function showProgress({ queue }) {
  if (queue === null) return show("working", "Speaking…");
  const eta = count(Math.max(1, Math.round(queue.eta_seconds)), "second");
  return show("working", "Waiting…", `Number ${queue.position} in line for ${queue.name}; about ${eta}.`);
}

async function play(spoken) {
  $("provider").textContent = spoken.provider;
  showBadge($("cache"), spoken.cache);
  $("elapsed").textContent = milliseconds(spoken.elapsedMs);
  $("duration").textContent = seconds(spoken.durationMs / 1000);
  $("degraded").hidden = !spoken.isDegraded;
  show("spoken", "Here it is", CACHE[spoken.cache]);
  markEntry(spoken);
  audio.src = spoken.url;
  await start();
}

async function start() {
  try {
    await audio.play();
    $("play").hidden = true;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.name !== "NotAllowedError") {
      throw new Problem({ title: "This browser cannot play it", detail: error.message });
    }
    $("play").hidden = false;
  }
}

function showProblem(problem) {
  const unplaced = problem.errors.filter(({ field, message }) => !markField(form, field, sentence(message)));
  const reasons = [
    ...unplaced.map(({ field, message }) => `${field}: ${message}`),
    ...problem.attempts.map(({ provider, code, detail }) => `${provider}: ${detail} (${code})`),
  ];
  $("reasons").replaceChildren(...reasons.map((reason) => element("li", reason)));
  const isPlaced = problem.errors.length > 0 && unplaced.length === 0;
  $("again").hidden = isPlaced;
  const title = problem.code === "invalid_request" ? "That cannot be spoken as it is" : problem.title;
  show("problem", title, isPlaced ? "See the marked field." : problem.message);
  form.querySelector("[aria-invalid]")?.focus();
}

function showBadge(badge, cache) {
  badge.textContent = cache;
  badge.dataset.cache = cache;
}

// ---- What was spoken on this visit

function remember(spoken, request) {
  const item = copyOf("entry");
  const about = [request.speaker, request.quality, spoken.provider];
  item.querySelector(".entry-text").textContent = request.text;
  item.querySelector(".entry-about").textContent = about.join(" · ");
  item.querySelector(".entry-elapsed").textContent = milliseconds(spoken.elapsedMs);
  showBadge(item.querySelector(".badge"), spoken.cache);
  item.spoken = spoken;
  item.firstElementChild.addEventListener("click", () => attempt(() => play(spoken)));
  $("entries").prepend(item);
  $("history").hidden = false;
  const oldest = $("entries").children[HISTORY_LENGTH];
  if (oldest) {
    URL.revokeObjectURL(oldest.spoken.url);
    oldest.remove();
  }
}

function markEntry(spoken) {
  for (const item of $("entries").children) {
    item.firstElementChild.setAttribute("aria-current", item.spoken === spoken);
  }
}

// ---- The person at the page

/** Does one thing at a time: what is begun anew ends what was under way, which then shows nothing more. */
async function attempt(action) {
  running.abort();
  const mine = (running = new AbortController());
  audio.pause();
  $("play").hidden = true;
  clearMarks(form);
  try {
    await action(mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error instanceof Problem) return showProblem(error);
    showProblem(new Problem({ title: "This page made a mistake", detail: error.message }));
    throw error;
  }
}

async function submit(signal) {
  const request = Object.fromEntries(new FormData(form));
  const speaker = $("personality").selectedOptions[0].text;
  show("working", "Asking…");
  const spoken = await speak(request, { signal, onProgress: showProgress });
  remember(spoken, { ...request, speaker });
  await play(spoken);
}

function countCharacters() {
  const { value, dataset } = $("text");
  const length = [...value].length; // code points, as the farm counts
  $("count").textContent = `${length} / ${dataset.maxChars} characters`;
  $("count").classList.toggle("over", length > dataset.maxChars);
}

/** Offers who can speak now; who was chosen stays chosen for as long as that lasts. */
function offerPersonalities() {
  const hasNobodyYet = $("controls").disabled;
  if (roster.problem) {
    if (hasNobodyYet) showProblem(roster.problem);
    return;
  }
  const able = roster.everyone.filter(({ is_active }) => is_active);
  const chosen = able.find(({ id }) => id === $("personality").value) ?? able.find(({ is_default }) => is_default);
  $("personality").replaceChildren(
    ...able.map(({ id, personality_name, is_default }) =>
      element("option", personality_name, { value: id, defaultSelected: is_default, selected: id === chosen?.id }),
    ),
  );
  $("controls").disabled = able.length === 0;
  if (able.length === 0) show("idle", "Nobody can speak yet", "Make a personality, in the part Voices.");
  else if (hasNobodyYet) show("idle", "Ready", "Pick a phrase or write your own, and press Speak.");
}

/** Lets somebody speak next. */
export function choosePersonality(id) {
  $("personality").value = id;
  $("text").focus();
  $("text").select();
}

export function startSpeaking() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(submit);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || form.closest("[hidden]")) return;
    event.preventDefault();
    if (event.repeat || $("controls").disabled) return;
    form.requestSubmit();
  });
  document.querySelector(".phrases").addEventListener("click", ({ target }) => {
    if (!target.dataset.phrase) return;
    $("text").value = target.dataset.phrase;
    countCharacters();
  });
  $("text").addEventListener("input", countCharacters);
  $("play").addEventListener("click", () => attempt(start));
  $("again").addEventListener("click", () => {
    // Loaded again, the page also tries the link's code again.
    if ($("controls").disabled) location.reload();
    else form.requestSubmit();
  });
  roster.addEventListener("change", offerPersonalities);
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $("shortcut").textContent = "⌘ Enter";
  countCharacters();
}
