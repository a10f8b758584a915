// The card that tells what came of the last request.

import { $, element, write } from "../common/dom.js";
import { milliseconds, seconds } from "../common/times.js";
import { CACHE, placeInLine } from "../common/words.js";

/** Shows one of the card's states: idle, working, spoken or problem. */
export function show(state, headline, note = "") {
  const outcome = $("outcome");
  const isNews = outcome.dataset.state !== state;
  outcome.dataset.state = state;
  write($("headline"), headline);
  write($("note"), note);
  if (isNews) outcome.scrollIntoView({ block: "nearest" });
}

/** Shows how far a job is. */
export function showProgress({ queue }) {
  if (queue === null) return show("working", "Speaking…");
  return show("working", "Waiting…", placeInLine(queue));
}

/** Shows what the farm says of what was spoken. */
export function showSpoken({ provider, cache, elapsedMs, durationMs, isDegraded }) {
  $("provider").textContent = provider;
  showBadge($("cache"), cache);
  $("elapsed").textContent = milliseconds(elapsedMs);
  $("duration").textContent = seconds(durationMs / 1000);
  $("degraded").hidden = !isDegraded;
  show("spoken", "Here it is", CACHE[cache]);
}

/** Shows what stands against it; `reasons` are those that no field of the form shows. */
export function showProblem({ code, title, message }, reasons, { isPlaced }) {
  $("reasons").replaceChildren(...reasons.map((reason) => element("li", reason)));
  $("again").hidden = isPlaced;
  const shownTitle = code === "invalid_request" ? "That cannot be spoken as it is" : title;
  show("problem", shownTitle, isPlaced ? "See the marked field." : message);
}

export function showBadge(badge, cache) {
  badge.textContent = cache;
  badge.dataset.cache = cache;
}
