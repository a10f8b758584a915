// The page at /: asks for speech, follows its job until there is audio, plays it, and says what came of it.

const POLL_FIRST_MS = 150;
const POLL_LONGEST_MS = 1000;
const HISTORY_LENGTH = 8;

const SIGN_IN = "Open the link that “make up” (or “voicefarm up”) printed when the farm started.";
const TITLES = {
  unauthorized: "This page is not signed in",
  invalid_request: "That cannot be spoken as it is",
  ssml_not_supported: "That cannot be spoken as it is",
  language_not_supported: "Nobody here speaks this language",
  no_provider: "Nobody can speak right now",
  queue_full: "Too much is waiting already",
  rate_limited: "Too much was asked for at once",
  state_unavailable: "A part of the farm does not answer",
  synthesis_failed: "Nobody managed to speak it",
  deadline_exceeded: "It took too long",
};
const CACHE = {
  HIT: "It was in the cache already.",
  MISS: "It was made for this request.",
  COALESCED: "It was in the making already, for another request.",
};

const $ = (id) => document.getElementById(id);
const form = $("speech");
const audio = $("audio");
let running = new AbortController();

// ---- Asking the farm

/** What went wrong, in words for the person at the page; made of a problem+json, or of a job's error. */
class Problem extends Error {
  constructor({ code, title = "That did not work", detail, errors = [], attempts = [] }) {
    super(sentence(detail));
    Object.assign(this, { title: TITLES[code] ?? title, errors, attempts });
  }
}

/** Sends a request; gives status, headers and the body: JSON decoded, anything else a Blob. */
async function call(path, options) {
  let answer, body;
  try {
    answer = await fetch(path, options);
    const isJson = /[/+]json\b/.test(answer.headers.get("Content-Type"));
    body = await (isJson ? answer.json() : answer.blob());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const detail = "It may have stopped: is “make up” still running?";
    throw new Problem({ title: "The farm does not answer", detail });
  }
  if (!answer.ok) throw problemOf(answer, body);
  return { status: answer.status, headers: answer.headers, body };
}

function problemOf(answer, body) {
  let { detail = `The server answered ${answer.status} ${answer.statusText}` } = body;
  if (body.code === "unauthorized") {
    const used = location.hash === "#code-used" ? "The link you opened was used before or is too old. " : "";
    detail = `${used}${SIGN_IN} Each link works once; a farm that is started again prints a new one.`;
  }
  const wait = answer.headers.get("Retry-After");
  if (wait) detail = `${sentence(detail)} It may work in ${count(wait, "second")}.`;
  return new Problem({ ...body, detail });
}

/** Gives the sound of a request, and what the farm says of it. */
async function speak(request, signal) {
  const begun = performance.now();
  let answer = await call("/api/voice/synthesize", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
  const cache = answer.headers.get("X-Cache-Status");
  if (answer.status === 202) {
    const job = await follow(answer.body, signal);
    answer = await call(job.audio.url, { signal });
  }
  return {
    cache,
    url: URL.createObjectURL(answer.body),
    provider: answer.headers.get("X-Provider"),
    durationMs: Number(answer.headers.get("X-Duration-MS")),
    isDegraded: answer.headers.get("X-Degraded") === "true",
    elapsedMs: performance.now() - begun,
  };
}

/** Asks for a job, ever more seldom, until it has succeeded. */
async function follow(job, signal) {
  let pauseMs = POLL_FIRST_MS;
  while (job.status === "queued" || job.status === "running") {
    showProgress(job);
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 1.5, POLL_LONGEST_MS);
    job = (await call(`/api/voice/jobs/${job.id}`, { signal })).body;
  }
  if (job.status === "failed") throw new Problem({ ...job.error, attempts: job.attempts });
  if (job.status === "cancelled") throw new Problem({ title: "Cancelled", detail: "Somebody cancelled it" });
  return job;
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    setTimeout(resolve, ms);
  });
}

// ---- Showing what came of it

function show(state, headline, note = "") {
  const outcome = $("outcome");
  const isNews = outcome.dataset.state !== state;
  outcome.dataset.state = state;
  // Written only when it changes, so that a screen reader says it once.
  if ($("headline").textContent !== headline) $("headline").textContent = headline;
  if ($("note").textContent !== note) $("note").textContent = note;
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
  $("duration").textContent = `${(spoken.durationMs / 1000).toFixed(1)} s`;
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
  const unplaced = problem.errors.filter((error) => !markField(error));
  const reasons = [
    ...unplaced.map(({ field, message }) => `${field}: ${message}`),
    ...problem.attempts.map(({ provider, code, detail }) => `${provider}: ${detail} (${code})`),
  ];
  $("reasons").replaceChildren(...reasons.map((reason) => element("li", reason)));
  const isPlaced = problem.errors.length > 0 && unplaced.length === 0;
  $("again").hidden = isPlaced;
  show("problem", problem.title, isPlaced ? "See the marked field." : problem.message);
  form.querySelector("[aria-invalid]")?.focus();
}

/** Puts an error beside the field it is about; false when the form has no such field. */
function markField({ field, message }) {
  const control = form.elements[field];
  const place = control instanceof Element && $(`${control.id}-error`);
  if (!place) return false;
  control.setAttribute("aria-invalid", "true");
  place.textContent = sentence(message);
  return true;
}

function clearMarks() {
  for (const place of form.querySelectorAll(".field-error")) place.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

function showBadge(badge, cache) {
  badge.textContent = cache;
  badge.dataset.cache = cache;
}

// ---- What was spoken on this visit

function remember(spoken, request) {
  const item = $("entry").content.cloneNode(true).firstElementChild;
  const about = [nameOf(request.personality_id), request.quality, spoken.provider];
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

function nameOf(personalityId) {
  return [...form.elements.personality_id.options].find((option) => option.value === personalityId).text;
}

function markEntry(spoken) {
  for (const item of $("entries").children) {
    item.firstElementChild.setAttribute("aria-current", item.spoken === spoken);
  }
}

// ---- Words and numbers

function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

function count(number, unit) {
  return `${number} ${unit}${Number(number) === 1 ? "" : "s"}`;
}

function milliseconds(ms) {
  return `${Math.max(1, Math.round(ms)).toLocaleString("en")} ms`;
}

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}

// ---- The person at the page

/** Does one thing at a time: what is begun anew ends what was under way, which then shows nothing more. */
async function attempt(action) {
  running.abort();
  const mine = (running = new AbortController());
  audio.pause();
  $("play").hidden = true;
  clearMarks();
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
  show("working", "Asking…");
  const spoken = await speak(request, signal);
  remember(spoken, request);
  await play(spoken);
}

function countCharacters() {
  const { value, dataset } = $("text");
  const length = [...value].length; // code points, as the farm counts
  $("count").textContent = `${length} / ${dataset.maxChars} characters`;
  $("count").classList.toggle("over", length > dataset.maxChars);
}

async function loadPersonalities(signal) {
  const items = [];
  for (let cursor = ""; cursor !== null; ) {
    const query = new URLSearchParams({ limit: 200, cursor });
    const { body } = await call(`/api/voice/personalities?${query}`, { signal });
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  const options = items
    .filter((personality) => personality.is_active)
    .map(({ id, personality_name, is_default }) =>
      element("option", personality_name, { value: id, defaultSelected: is_default, selected: is_default }),
    );
  form.elements.personality_id.replaceChildren(...options);
  $("controls").disabled = false;
  history.replaceState(null, "", location.pathname);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(submit);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
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
  if ($("controls").disabled) location.reload();
  else form.requestSubmit();
});

if (/Mac|iPhone|iPad/.test(navigator.platform)) $("shortcut").textContent = "⌘ Enter";
countCharacters();
attempt(loadPersonalities);
