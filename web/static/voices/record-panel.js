// The panel in which a voice is recorded: what to read, the level, the time, and the recording to listen to.

import { Problem } from "../common/api.js";
import { $, write } from "../common/dom.js";
import { readingText } from "./reading-texts.js";
import { record } from "./recorder.js";
import { seconds } from "../common/times.js";

const BEST_FROM_S = 8;
const BEST_TO_S = 25;
// Where a voice is heard: judging a sample, the farm takes what is below for silence.
const HEARD_DBFS = -50;
const CLIPPING_PEAK = 0.99;
const LEVEL_KEEPS_S = 1.5;

/** Makes it work until the signal is given; `onSample` gets the recorded `file`, or the `reason` why there is none. */
export function startRecordPanel({ language, onSample, signal }) {
  const panel = $("record");
  const [least, most] = [Number(panel.dataset.minSeconds), Number(panel.dataset.maxSeconds)];
  const bounds = `${least} to ${most} seconds; ${BEST_FROM_S} to ${BEST_TO_S} are best.`;
  let recording = null;
  let url = null;

  function show(state, advice, error = "") {
    panel.dataset.state = state;
    write($("record-advice"), advice);
    write($("record-error"), error);
    $("record-start").textContent = state === "taken" ? "Record again" : "Record";
  }

  function forget() {
    onSample({ reason: "Record a voice first." });
    $("record-audio").hidden = true;
    $("record-audio").removeAttribute("src");
    URL.revokeObjectURL(url);
    showTime(0);
    $("record-level").value = $("record-level").min;
  }

  function fail(reason) {
    show("idle", "", reason);
    onSample({ reason });
  }

  async function begin() {
    forget();
    show("asking", "The browser may ask whether this page may use the microphone.");
    const advise = adviser({ least, most });
    try {
      recording = await record({
        maxSeconds: most,
        signal,
        onHeard(heard) {
          showTime(heard.seconds);
          $("record-level").value = heard.levelDbfs;
          write($("record-advice"), advise(heard));
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      fail(`${error.title}. ${error.message}`);
      return;
    }
    show("recording", "Speak now.");
    onSample({ reason: "Stop the recording first." });
    $("record-stop").focus();
    take(await recording.finished);
  }

  function take({ file, seconds: length }) {
    recording = null;
    $("record-level").value = $("record-level").min;
    showTime(length);
    if (length < least) {
      fail(`That was ${seconds(length)}; a voice needs at least ${least} s. Record again.`);
    } else {
      url = URL.createObjectURL(file);
      $("record-audio").src = url;
      $("record-audio").hidden = false;
      const ended = length < most ? "" : `${most} s are the most. `;
      show("taken", `${ended}Listen to it before you use it.`);
      onSample({ file });
    }
    // The button that had the focus has just disappeared.
    if ([document.body, $("record-stop")].includes(document.activeElement)) $("record-start").focus();
  }

  const reading = readingText(language);
  $("reading-text").textContent = reading.text;
  $("reading-text").lang = reading.language;
  $("record-start").addEventListener("click", begin);
  $("record-stop").addEventListener("click", () => recording.stop());
  signal.addEventListener("abort", () => URL.revokeObjectURL(url), { once: true });
  forget();
  show("idle", bounds);
  return { stop: () => recording?.stop() };
}

function showTime(length) {
  $("record-time").textContent = seconds(length);
}

/** Gives what to say of what is heard, from moment to moment; it changes seldom, as it is read aloud. */
function adviser({ least, most }) {
  let [clippedUntil, heardUntil] = [0, LEVEL_KEEPS_S];
  return ({ seconds: length, levelDbfs, peak }) => {
    if (peak >= CLIPPING_PEAK) clippedUntil = length + LEVEL_KEEPS_S;
    if (levelDbfs >= HEARD_DBFS) heardUntil = length + LEVEL_KEEPS_S;
    if (length < clippedUntil) return "Too loud: move away from the microphone a little.";
    if (length > heardUntil) return "Nothing is heard: is the right microphone chosen, and close enough?";
    if (length < least) return "Go on speaking…";
    if (length < BEST_FROM_S) return `Enough, but from ${BEST_FROM_S} s on it gets better.`;
    if (length < BEST_TO_S) return "Good. Stop whenever you like.";
    return `More does not make it better; it stops by itself at ${most} s.`;
  };
}
