// The dialog in which a personality is given a voice: recorded or uploaded, with consent, and judged.

import { Problem } from "../common/api.js";
import { $, clearMarks, element } from "../common/dom.js";
import { attemptIn, clearRefusal, confirmed, openDialog } from "../common/dialog.js";
import { roster } from "../common/personalities.js";
import { date, seconds } from "../common/times.js";
import { kilohertz } from "../common/words.js";
import { tellWhetherCloned } from "./cloning.js";
import { startFilePanel } from "./file-panel.js";
import { startHoldingPanel } from "./holding-panel.js";
import { startRecordPanel } from "./record-panel.js";

/** Opens it for a personality; `onSpeak` is called when somebody wants to hear the voice. */
export function openVoice(personality, { onSpeak }) {
  const closed = new AbortController();
  const dialog = openDialog("voice-dialog");
  const form = $("voice");
  let source = form.elements.source.value;
  const samples = { record: {}, file: {} };
  const { signal } = closed;
  dialog.addEventListener("close", () => closed.abort());

  const recordPanel = startRecordPanel({
    language: personality.language,
    onSample: (sample) => step(() => (samples.record = sample)),
    signal,
  });
  startFilePanel({
    dialog,
    onSample: (sample) => step(() => (samples.file = sample)),
    onDropped: () => chooseSource("file"),
    signal,
  });

  /** Does what ends the refusal of the step before it, and the consent if that was to another sample. */
  function step(action) {
    const before = samples[source].file;
    action();
    if (before && before !== samples[source].file) form.elements.consent.checked = false;
    clearRefusal(form);
  }

  function chooseSource(chosen) {
    step(() => (source = chosen));
    form.elements.source.value = source;
    $("record").hidden = source !== "record";
    $("file").hidden = source !== "file";
    recordPanel.stop();
  }

  async function send() {
    const file = check(samples[source], form.elements);
    const sending = $("sending");
    sending.hidden = false;
    try {
      const verdict = await roster.giveVoice(personality.id, file, { signal, onProgress: showSent });
      if (!signal.aborted) showVerdict(verdict);
    } finally {
      sending.hidden = true;
    }
  }

  $("voice-title").textContent = `The voice of ${personality.personality_name}`;
  tellWhetherCloned(dialog, { signal });
  startKept({ personality, dialog, signal });
  for (const choice of form.elements.source) choice.addEventListener("change", () => chooseSource(choice.value));
  form.elements.consent.addEventListener("change", () => clearMarks(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attemptIn(form, send);
  });
  $("voice-anew").addEventListener("click", () => {
    dialog.addEventListener("close", () => openVoice(roster.get(personality.id), { onSpeak }));
    dialog.close();
  });
  $("voice-speak").textContent = `Speak as ${personality.personality_name}`;
  $("voice-speak").hidden = !personality.is_active;
  $("voice-speak").addEventListener("click", () => {
    dialog.close();
    onSpeak(personality);
  });
}

/** Gives the file to send; tells what is missing before anything is sent. */
function check({ file, reason }, { consent }) {
  if (!file) throw new Problem({ title: "There is no sample yet", detail: reason });
  if (consent.checked) return file;
  const message = "Tick this if it is so; without consent no voice can be used.";
  throw new Problem({ code: "invalid_request", detail: message, errors: [{ field: "consent", message }] });
}

function showSent(share) {
  if (share < 1) {
    $("sent").value = share;
    $("sending-news").textContent = `Sending… ${Math.round(100 * share)} %`;
  } else {
    $("sent").removeAttribute("value");
    $("sending-news").textContent = "The farm listens to it…";
  }
}

function showVerdict({ score, rating, warnings, duration_seconds, sample_rate }) {
  $("giving").hidden = $("kept").hidden = true;
  $("verdict").hidden = false;
  $("verdict").dataset.rating = rating;
  $("verdict-score").textContent = score;
  $("verdict-title").textContent = `The sample is ${rating}`;
  $("verdict-about").textContent = `${seconds(duration_seconds)} at ${kilohertz(sample_rate)}.`;
  $("verdict-warnings").replaceChildren(...warnings.map((warning) => element("li", warning)));
  $("verdict-title").focus();
}

/** Shows the sample that there is, to listen to and to remove. */
function startKept({ personality, dialog, signal }) {
  const { sample_metadata: metadata } = personality.voice_config;
  $("giving-title").textContent = metadata ? "A new one in its place" : "A sample of the voice";
  $("kept").hidden = !metadata;
  if (!metadata) return;
  const { duration, sample_rate, uploaded_at } = metadata;
  $("kept-about").textContent = `${seconds(duration)} at ${kilohertz(sample_rate)}, given on ${date(uploaded_at)}.`;
  const audio = $("kept-audio");
  $("kept-listen").addEventListener("click", () =>
    attemptIn($("voice"), async () => {
      audio.src = URL.createObjectURL(await roster.voice(personality.id, { signal }));
      audio.hidden = false;
      $("kept-listen").hidden = true;
      audio.focus();
      await audio.play();
    }),
  );
  signal.addEventListener("abort", () => URL.revokeObjectURL(audio.src), { once: true });
  startHoldingPanel({ personality, signal });
  $("kept-remove").addEventListener("click", async () => {
    audio.pause();
    if (await confirmRemoval(personality)) dialog.close();
  });
}

function confirmRemoval({ id, personality_name }) {
  return confirmed({
    title: `Remove the voice of ${personality_name}?`,
    text: "The sample and everything that was made from it are gone for good. The personality stays.",
    yes: "Remove",
    action: () => roster.removeVoice(id),
  });
}
