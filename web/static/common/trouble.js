// The card of a part that tells what stands against it; the template's macro `trouble` makes it.

import { $, write } from "./dom.js";

/** Shows a Problem, or with null takes it back; `isStale`: there is something older on show. */
export function showTrouble(part, problem, { isStale }) {
  $(`${part}-problem`).hidden = problem === null;
  if (problem === null) return;
  const stale = isStale ? " What you see here may have changed meanwhile." : "";
  write($(`${part}-problem-title`), problem.title);
  write($(`${part}-problem-note`), `${problem.message}${stale}`);
}
