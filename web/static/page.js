// The page at /: its parts, each shown at an address of its own behind the #.

import { $ } from "./dom.js";
import { roster } from "./personalities.js";
import { choosePersonality, startSpeaking } from "./speak.js";
import { startVoices } from "./voices.js";

const PARTS = ["speak", "voices"];

function showPart() {
  const asked = location.hash.slice(1);
  const shown = PARTS.includes(asked) ? asked : PARTS[0];
  for (const part of PARTS) {
    const link = document.querySelector(`nav a[href="#${part}"]`);
    $(part).hidden = part !== shown;
    if (part === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = shown === PARTS[0] ? "voicefarm" : `${$(`${shown}-title`).textContent} · voicefarm`;
}

/** Takes the code, or that it was used, out of the address once it has done what it is for. */
function tidyAddress() {
  if (roster.problem) return;
  const { pathname, hash } = location;
  history.replaceState(null, "", pathname + (PARTS.includes(hash.slice(1)) ? hash : ""));
}

addEventListener("hashchange", () => {
  showPart();
  scrollTo(0, 0);
  roster.load(); // somebody may have changed it elsewhere
});
roster.addEventListener("change", tidyAddress);

showPart();
startSpeaking();
startVoices({
  onSpeak({ id }) {
    location.hash = "speak";
    showPart();
    choosePersonality(id);
  },
});
roster.load();
