// The page at /.

import { roster } from "./personalities.js";
import { startSpeaking } from "./speak.js";

/** Takes the code, or that it was used, out of the address once it has done what it is for. */
function tidyAddress() {
  if (!roster.problem) history.replaceState(null, "", location.pathname);
}

roster.addEventListener("change", tidyAddress);
startSpeaking();
roster.load();
