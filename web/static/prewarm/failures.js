// What failed in a batch: all of it, reason by reason.

import { Problem, call } from "../common/api.js";
import { element } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { grouped } from "../common/words.js";

/** Gives all that failed; a list of batches has only the first of it. */
export async function allFailed({ id, counts, failed }) {
  if (failed.length >= counts.failed) return failed;
  return (await call(`/api/voice/batches/${id}`)).body.failed;
}

/** Shows it reason by reason, and first what failed most. */
export function showFailed(place, failed) {
  const groups = new Map();
  for (const item of failed) {
    const reason = `${item.code} ${item.detail}`;
    if (!groups.has(reason)) groups.set(reason, []);
    groups.get(reason).push(item);
  }
  const reasons = [...groups.values()].sort((one, other) => other.length - one.length);
  place.replaceChildren(...reasons.flatMap(showReason));
}

function showReason(items) {
  const { title, message } = new Problem(items[0]);
  const list = element("ul", "");
  list.append(...items.map(entry));
  return [element("h5", `${grouped(items.length)} × ${title}`), element("p", `${message} (${items[0].code})`), list];
}

function entry({ phrase, personality_id, quality, format }) {
  const item = element("li", "");
  const about = [roster.nameOf(personality_id), quality, format].join(" · ");
  item.append(element("span", phrase, { className: "phrase" }), element("span", about, { className: "about" }));
  return item;
}
