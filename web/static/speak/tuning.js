// Language, speed and pitch of what shall be spoken.

import { $ } from "../common/dom.js";
import { languageHint } from "../common/languages.js";
import { roster } from "../common/personalities.js";
import { grouped, languageName } from "../common/words.js";

// The slider of the speed is of its binary logarithm: half as fast is as far away as twice as fast.
const SPEED_STEP = 0.05;

/** Gives what was chosen, without what is so anyway. */
export function tuned() {
  const chosen = {};
  if (speed() !== 1) chosen.speed = speed();
  if (pitch() !== 0) chosen.pitch = pitch();
  return chosen;
}

function speed() {
  return Number((2 ** Number($("speed").value)).toFixed(2));
}

function pitch() {
  return Number($("pitch").value);
}

/** Says what is chosen, in words. */
export function showTuning() {
  tell("speed", `${speed()} ×`, speed() === 1 ? "normal" : `${speed()} times`);
  const semitones = `${pitch() > 0 ? "+" : ""}${grouped(pitch())} semitones`;
  tell("pitch", semitones, pitch() === 0 ? "normal" : semitones);
  const tag = $("language").value.trim();
  const own = roster.everyone && roster.get($("personality").value)?.language;
  const isOwn = !tag && own;
  $("language-hint").textContent = isOwn ? `${languageName(own)}, the personality's own` : languageHint(tag);
  $("language").placeholder = own || "";
}

function tell(name, shown, spoken) {
  $(`${name}-shown`).textContent = shown;
  $(name).ariaValueText = spoken;
}

/** Lets everything be as usual again. */
export function resetTuning() {
  $("speed").value = $("pitch").value = 0;
  $("language").value = "";
  showTuning();
}

export function startTuning() {
  const { min, max } = $("speed");
  Object.assign($("speed"), { min: Math.log2(min), max: Math.log2(max), step: SPEED_STEP, value: 0 });
  $("pitch").value = 0;
  for (const name of ["speed", "pitch", "language", "personality"]) {
    $(name).addEventListener("input", showTuning);
  }
}
