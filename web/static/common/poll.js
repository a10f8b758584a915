// Asking again and again, for what changes while somebody looks at it.

import { Problem } from "./api.js";

const LONGEST_PAUSE_MS = 30_000;

/**
 * Asks between `start` and `stop`, while the page can be seen. What `ask(signal)` gives goes to `onAnswer`; a
 * Problem goes to `onTrouble`, and as long as there is one it asks ever more seldom. An answer that is overtaken
 * by a newer question is dropped.
 */
export class Poll {
  #ask;
  #everyMs;
  #onAnswer;
  #onTrouble;
  #timer = null;
  #failures = 0;
  #running = null;

  constructor({ ask, everyMs, onAnswer, onTrouble }) {
    this.#ask = ask;
    this.#everyMs = everyMs;
    this.#onAnswer = onAnswer;
    this.#onTrouble = onTrouble;
    document.addEventListener("visibilitychange", () => this.#resume());
    addEventListener("online", () => this.#resume());
  }

  start() {
    this.#running ??= new AbortController();
    return this.now();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  /** Asks at once, and from then on as before. */
  async now() {
    if (!this.#running) return;
    this.#running.abort();
    const mine = (this.#running = new AbortController());
    clearTimeout(this.#timer);
    try {
      const answer = await this.#ask(mine.signal);
      if (mine.signal.aborted) return;
      this.#failures = 0;
      this.#onAnswer(answer);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.#failures += 1;
      this.#onTrouble(error);
    }
    const pauseMs = Math.min(this.#everyMs * 2 ** this.#failures, Math.max(this.#everyMs, LONGEST_PAUSE_MS));
    if (!document.hidden) this.#timer = setTimeout(() => this.now(), pauseMs);
  }

  #resume() {
    if (document.hidden) clearTimeout(this.#timer);
    else this.now();
  }
}
