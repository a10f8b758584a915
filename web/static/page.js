// The page at /: its parts, each shown at an address of its own behind the #.

import { $ } from "./common/dom.js";
import { offerLanguages } from "./common/languages.js";
import { roster } from "./common/personalities.js";
import { startFarm } from "./farm/farm.js";
import { startJobs } from "./jobs/jobs.js";
import { startPrewarming } from "./prewarm/prewarm.js";
import { choosePersonality, startSpeaking } from "./speak/speak.js";
import { startVoices } from "./voices/voices.js";

/** The parts by their addresses; one that follows something does so from `enter` to `leave`. */
const PARTS = {
  speak: startSpeaking(),
  jobs: startJobs(),
  voices: startVoices({ onSpeak }),
  prewarm: startPrewarming(),
  farm: startFarm(),
};
const [FIRST] = Object.keys(PARTS);
let shown = null;

function onSpeak({ id }) {
  location.hash = "speak";
  showPart();
  choosePersonality(id);
}

function askedPart() {
  const asked = location.hash.slice(1);
  return Object.hasOwn(PARTS, asked) ? asked : FIRST;
}

function showPart() {
  const asked = askedPart();
  if (asked === shown) return;
  for (const part of Object.keys(PARTS)) {
    const link = document.querySelector(`nav a[href="#${part}"]`);
    $(part).hidden = part !== asked;
    if (part === asked) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = asked === FIRST ? "voicefarm" : `${$(`${asked}-title`).textContent} · voicefarm`;
  PARTS[shown]?.leave?.();
  shown = asked;
  PARTS[shown]?.enter?.();
}

/** Takes the code, or that it was used, out of the address once it has done what it is for. */
function tidyAddress() {
  if (roster.problem) return;
  const { pathname, hash } = location;
  history.replaceState(null, "", pathname + (Object.hasOwn(PARTS, hash.slice(1)) ? hash : ""));
}

addEventListener("hashchange", () => {
  showPart();
  scrollTo(0, 0);
  roster.load(); // somebody may have changed it elsewhere
});
roster.addEventListener("change", tidyAddress);

offerLanguages();
showPart();
roster.load();
