// The part of the voice's dialog that tells which providers hold it in memory, and has them take it or let go.

import { Problem, call } from "../common/api.js";
import { $, copyOf, write } from "../common/dom.js";
import { providerTitle } from "../common/providers.js";

/** Shows it for a personality with a sample. */
export async function startHoldingPanel({ personality: { id }, signal }) {
  const address = `/api/voice/personalities/${id}/voice`;
  const attempt = async (action) => {
    try {
      return await action();
    } catch (error) {
      if (signal.aborted) return null;
      if (!(error instanceof Problem)) throw error;
      write($("holding-news"), `${error.title}. ${error.message}`);
      return null;
    }
  };

  const change = (provider, isHeld) =>
    attempt(async () => {
      write($("holding-news"), isHeld ? "Letting go of it…" : "Taking it into memory; the first time takes a while…");
      const [method, action] = isHeld ? ["DELETE", "unload"] : ["POST", "load"];
      const { body } = await call(`${address}/${action}?provider=${provider}`, { method, signal });
      write($("holding-news"), body.message);
    });

  const show = async () => {
    const [{ body: held }, { body: status }] = await Promise.all([
      call(`${address}/load`, { signal }),
      call("/api/voice/providers/status", { signal }),
    ]);
    const rows = Object.entries(held.providers_loaded).map(([provider, isHeld]) => {
      const row = copyOf("holding-row");
      const title = providerTitle(provider);
      const isRunning = status.providers[provider].workers > 0;
      row.querySelector(".title").textContent = title;
      row.querySelector(".state").textContent = isHeld ? "has it in memory" : isRunning ? "takes it when asked to speak" : "does not run here";
      const button = row.querySelector("button");
      button.textContent = isHeld ? "Unload" : "Load";
      button.ariaLabel = `${button.textContent}: ${title}`;
      button.hidden = !isRunning;
      button.addEventListener("click", async () => {
        button.disabled = true;
        await change(provider, isHeld);
        await attempt(show);
        [...$("holding").querySelectorAll("button")].find(({ ariaLabel }) => ariaLabel.endsWith(title))?.focus();
      });
      return row;
    });
    if (!signal.aborted) $("holding").replaceChildren(...rows);
  };

  await attempt(show);
}
