// Who can speak: one list for all parts of the page, and what can be done to it.

import { Problem, call, callWith, upload } from "./api.js";

const ADDRESS = "/api/voice/personalities";

/**
 * The personalities as the farm told last. Sends "change" whenever that was asked for: then `everyone` is
 * what there is, or `problem` tells why it may be out of date. A method that changes something at the farm
 * returns when the list has followed.
 */
class Roster extends EventTarget {
  /** By name; null before the farm has told them for the first time. */
  everyone = null;
  /** Why the last time of asking was in vain; null when it was not. */
  problem = null;
  /** What the farm said of the samples that were given on this visit, by the personality's ID. */
  verdicts = new Map();
  #asked = 0;
  #latest = null;

  get(id) {
    return this.everyone.find((personality) => personality.id === id);
  }

  /** Gives the name that is shown of one who may have been removed since. */
  nameOf(id) {
    if (this.everyone === null) return "…";
    return this.get(id)?.personality_name ?? "Somebody removed";
  }

  load() {
    return (this.#latest = this.#load());
  }

  async #load() {
    const mine = ++this.#asked;
    let everyone = this.everyone;
    let problem = null;
    try {
      everyone = await inPages();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem = error;
    }
    if (mine !== this.#asked) return this.#latest; // who has asked since is told something newer
    Object.assign(this, { everyone, problem });
    this.dispatchEvent(new Event("change"));
  }

  create(profile) {
    return this.#changing(callWith("POST", ADDRESS, profile));
  }

  /** Changes what a merge patch (RFC 7396) names. */
  change(id, patch) {
    return this.#changing(callWith("PATCH", `${ADDRESS}/${id}`, patch));
  }

  remove(id) {
    return this.#changing(call(`${ADDRESS}/${id}`, { method: "DELETE" }));
  }

  /** Gives one the voice of a sample to which its speaker has consented; gives the farm's verdict on it. */
  async giveVoice(id, sample, { signal, onProgress }) {
    const form = new FormData();
    form.set("consent", "true");
    form.set("audio", sample, sample.name);
    const verdict = await this.#changing(upload("PUT", `${ADDRESS}/${id}/voice`, form, { signal, onProgress }));
    this.verdicts.set(id, verdict);
    this.dispatchEvent(new Event("change"));
    return verdict;
  }

  /** Gives the sample that one speaks with, as a Blob. */
  async voice(id, { signal }) {
    return (await call(`${ADDRESS}/${id}/voice`, { signal })).body;
  }

  removeVoice(id) {
    this.verdicts.delete(id);
    return this.#changing(call(`${ADDRESS}/${id}/voice`, { method: "DELETE" }));
  }

  /** Also a change that was refused shows that the list may be out of date. */
  async #changing(answer) {
    try {
      return (await answer).body;
    } finally {
      await this.load();
    }
  }
}

async function inPages() {
  const items = [];
  for (let cursor = ""; cursor !== null; ) {
    const { body } = await call(`${ADDRESS}?${new URLSearchParams({ limit: 200, cursor })}`);
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  return items;
}

export const roster = new Roster();
