// The part Speak: asks for speech, plays it, and says what came of it.

import { Problem } from "../common/api.js";
import { makeCopyButton } from "../common/copying.js";
import { $, clearMarks, element, markField, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { manner, sentence, size } from "../common/words.js";
import { markRemembered, remember } from "./history.js";
import { curlLines, fileName, pythonLines } from "./lines.js";
import { show, showProblem, showProgress, showSpoken } from "./outcome.js";
import { play, start, stop } from "./player.js";
import { speak } from "./synthesis.js";
import { resetTuning, showTuning, startTuning, tuned } from "./tuning.js";

const form = $("speech");
let running = new AbortController();

// ---- Asking, and what comes of it

/** Does one thing at a time: what is begun anew ends what was under way, which then shows nothing more. */
async function attempt(action) {
  running.abort();
  const mine = (running = new AbortController());
  stop();
  clearMarks(form);
  try {
    await action(mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error instanceof Problem) return refuse(error);
    refuse(new Problem({ title: "This page made a mistake", detail: error.message }));
    throw error;
  }
}

async function submit(signal) {
  const request = asked();
  const speaker = $("personality").selectedOptions[0].text;
  show("working", "Asking…");
  const spoken = await speak(request, { signal, onProgress: showProgress });
  const hear = () => present(spoken, request);
  remember(spoken, speaker, request, () => attempt(hear));
  await hear();
}

/** Gives the request, without what is so anyway but the quality. */
function asked() {
  const { text, personality_id, quality } = Object.fromEntries(new FormData(form));
  return { text, personality_id, quality, ...unusual() };
}

/** Gives how it shall be spoken, as far as that is not as usual. */
function unusual() {
  const { language, quality, format } = form.elements;
  const chosen = { language: language.value.trim(), quality: quality.value, format: format.value };
  const others = Object.entries(chosen).filter(([name, value]) => value !== DEFAULTS[name]);
  return { ...Object.fromEntries(others), ...tuned() };
}

async function present(spoken, request) {
  showSpoken(spoken);
  markRemembered(spoken);
  $("curl-lines").textContent = curlLines(request);
  $("python-lines").textContent = pythonLines(request);
  offerFile(spoken.file, request);
  await play(spoken);
}

function offerFile(file, request) {
  URL.revokeObjectURL($("download").href);
  Object.assign($("download"), { href: URL.createObjectURL(file), download: fileName(request) });
  $("spoken-file-about").textContent = `${fileName(request)}, ${size(file.size)}`;
}

function refuse(problem) {
  const unplaced = problem.errors.filter(({ field, message }) => !markField(form, field, sentence(message)));
  const reasons = [
    ...unplaced.map(({ field, message }) => `${field}: ${message}`),
    ...problem.attempts.map(({ provider, code, detail }) => `${provider}: ${detail} (${code})`),
  ];
  showProblem(problem, reasons, { isPlaced: problem.errors.length > 0 && unplaced.length === 0 });
  form.querySelector("[aria-invalid]")?.focus();
}

// ---- The form

const DEFAULTS = Object.freeze({
  language: "",
  quality: form.elements.quality.value,
  format: form.elements.format.value,
});

/** Says what is not as usual, and offers to go back to that. */
function showUnusual() {
  const words = manner(unusual());
  $("unusual").hidden = words.length === 0;
  write($("unusual-manner"), `Not as usual: ${words.join(", ")}.`);
}

function goBackToNormal() {
  resetTuning();
  form.elements.quality.value = DEFAULTS.quality;
  form.elements.format.value = DEFAULTS.format;
  showUnusual();
  $("speak-it").focus();
}

function countCharacters() {
  const { value, dataset } = $("text");
  const length = [...value].length; // code points, which is what the farm counts
  $("count").textContent = `${length} / ${dataset.maxChars} characters`;
  $("count").classList.toggle("over", length > dataset.maxChars);
}

/** Offers who can speak now; who was chosen stays chosen for as long as that lasts. */
function offerPersonalities() {
  const hasNobodyYet = $("controls").disabled;
  if (roster.problem) {
    if (hasNobodyYet) refuse(roster.problem);
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
  showTuning();
  if (able.length === 0) show("idle", "Nobody can speak yet", "Make a personality, in the part Voices.");
  else if (hasNobodyYet) show("idle", "Ready", "Pick a phrase or write your own, and press Speak.");
}

/** Lets somebody speak next. */
export function choosePersonality(id) {
  $("personality").value = id;
  showTuning();
  $("text").focus();
  $("text").select();
}

export function startSpeaking() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(submit);
  });
  form.addEventListener("input", showUnusual);
  $("back-to-normal").addEventListener("click", goBackToNormal);
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
  makeCopyButton($("curl-copy"), () => $("curl-lines").textContent);
  makeCopyButton($("python-copy"), () => $("python-lines").textContent);
  roster.addEventListener("change", offerPersonalities);
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $("shortcut").textContent = "⌘ Enter";
  startTuning();
  countCharacters();
}
