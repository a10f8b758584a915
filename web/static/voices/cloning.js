// Whether anybody here can speak with the voice of a sample.

import { Problem, call } from "../common/api.js";
import { CLONERS } from "../common/providers.js";

/** Shows in a dialog what is so: each such place tells with `data-cloned` whether it is for when somebody can. */
export async function tellWhetherCloned(dialog, { signal }) {
  let status;
  try {
    status = (await call("/api/voice/providers/status", { signal })).body;
  } catch (error) {
    if (signal.aborted || error instanceof Problem) return; // what is attempted then tells of trouble
    throw error;
  }
  const isCloned = CLONERS.some((name) => status.providers[name]?.workers > 0);
  for (const place of dialog.querySelectorAll("[data-cloned]")) {
    place.hidden = place.dataset.cloned !== String(isCloned);
  }
}
