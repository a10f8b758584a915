// The panel in which a file is chosen, or dropped.

import { $ } from "../common/dom.js";
import { acceptDrops } from "../common/drop.js";
import { objection } from "./sample-file.js";
import { seconds } from "../common/times.js";
import { size } from "../common/words.js";

/** Makes it work until the signal is given; `onSample` gets the `file`, or the `reason` why there is none. */
export function startFilePanel({ dialog, onSample, onDropped, signal }) {
  const input = $("file-input");
  const audio = $("file-audio");
  let latest = null;

  function forget() {
    onSample({ reason: "Choose a file first." });
  }

  async function choose(file) {
    latest = file;
    forget();
    URL.revokeObjectURL(audio.src);
    audio.hidden = true;
    $("file-error").textContent = "";
    $("file-about").textContent = file.name;
    const reason = await objection(file, Number(input.dataset.maxBytes));
    if (file !== latest || signal.aborted) return;
    $("file-error").textContent = reason;
    if (reason) return onSample({ reason: "Choose another file first." });
    $("file-about").textContent = `${file.name}, ${size(file.size)}`;
    audio.src = URL.createObjectURL(file);
    onSample({ file });
  }

  forget();
  input.addEventListener("change", () => {
    if (input.files.length > 0) choose(input.files[0]);
  });
  audio.addEventListener("loadedmetadata", () => {
    $("file-about").textContent = `${latest.name}, ${size(latest.size)}, ${seconds(audio.duration)}`;
    audio.hidden = false;
  });
  const onFile = (file) => {
    onDropped();
    choose(file);
  };
  acceptDrops(dialog, onFile, { signal });
  signal.addEventListener("abort", () => URL.revokeObjectURL(audio.src), { once: true });
}
