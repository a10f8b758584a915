// What a batch would take, and beginning it.

import { callWith } from "../common/api.js";
import { confirmed } from "../common/dialog.js";
import { $ } from "../common/dom.js";
import { duration } from "../common/times.js";
import { count, dollars, grouped, isOrAre, size } from "../common/words.js";

const ADDRESS = "/api/voice/prewarm";

/** Gives what it would take to have made what is asked for. */
export async function estimate(asked, { signal } = {}) {
  return (await callWith("POST", ADDRESS, { ...asked, dry_run: true }, { signal })).body;
}

/** Has it made; gives the batch. */
export async function begin(asked) {
  return (await callWith("POST", ADDRESS, asked)).body;
}

export function leftToMake({ total, already_cached }) {
  return total - already_cached;
}

/** Shows an estimate in the form; with null takes it back. */
export function showEstimate(estimated) {
  $("prewarm-estimated").hidden = estimated === null;
  if (estimated === null) return;
  $("estimated-about").textContent = toMake(estimated);
  $("estimated-time").textContent = aboutTime(estimated);
  $("estimated-cost").textContent = aboutCost(estimated);
  $("estimated-size").textContent = aboutSize(estimated);
}

/** Shows what it takes, and has it made by who agrees; gives the batch, or null. */
export async function beginIfAgreed(asked, estimated) {
  let batch = null;
  const cost = estimated.estimated_cost_usd > 0 ? ` for ${aboutCost(estimated)}` : "";
  const takes = `Time: ${aboutTime(estimated)}. Cost: ${aboutCost(estimated)}. Cache: ${aboutSize(estimated)}.`;
  await confirmed({
    title: `Pre-warm${cost}?`,
    text: `${toMake(estimated)} ${takes}`,
    yes: `Pre-warm${cost}`,
    no: "Not now",
    kind: "primary",
    action: async () => {
      batch = await begin(asked);
    },
  });
  return batch;
}

function toMake(estimated) {
  const { total, already_cached } = estimated;
  const left = leftToMake(estimated);
  if (left === 0) return total === 1 ? "It is cached already." : `All ${grouped(total)} are cached already.`;
  const cached = already_cached > 0 ? `; ${grouped(already_cached)} of ${grouped(total)} ${isOrAre(already_cached)} cached already` : "";
  return `${count(left, "piece of audio is", "pieces of audio are")} to be made${cached}.`;
}

function aboutTime(estimated) {
  return leftToMake(estimated) === 0 ? "none" : `about ${duration(estimated.estimated_seconds)}`;
}

function aboutCost({ estimated_cost_usd: usd }) {
  return usd === 0 ? "nothing" : `about ${dollars(usd)}`;
}

function aboutSize({ estimated_bytes: bytes }) {
  return bytes === 0 ? "as it is" : `${size(bytes)} more`;
}
