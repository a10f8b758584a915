// What was spoken on this visit, to be heard again.

import { $, copyOf } from "../common/dom.js";
import { milliseconds } from "../common/times.js";
import { manner } from "../common/words.js";
import { showBadge } from "./outcome.js";

const LENGTH = 8;

/** Puts one on top; `onAgain` is called when somebody wants to hear it again. */
export function remember(spoken, speaker, { text, quality, ...others }, onAgain) {
  const item = copyOf("entry");
  item.querySelector(".entry-text").textContent = text;
  item.querySelector(".entry-about").textContent = [speaker, quality, spoken.provider, ...manner(others)].join(" · ");
  item.querySelector(".entry-elapsed").textContent = milliseconds(spoken.elapsedMs);
  showBadge(item.querySelector(".badge"), spoken.cache);
  item.spoken = spoken;
  item.firstElementChild.addEventListener("click", onAgain);
  $("entries").prepend(item);
  $("history").hidden = false;
  const oldest = $("entries").children[LENGTH];
  if (oldest) {
    URL.revokeObjectURL(oldest.spoken.url);
    oldest.remove();
  }
}

/** Marks the one that is heard now. */
export function markRemembered(spoken) {
  for (const item of $("entries").children) {
    item.firstElementChild.setAttribute("aria-current", item.spoken === spoken);
  }
}
