// Files that are dropped.

/** Lets a file be dropped anywhere in a place, until the signal is given; marks it meanwhile with `data-drop`. */
export function acceptDrops(place, onFile, { signal } = {}) {
  const on = (type, listener) => place.addEventListener(type, listener, { signal });
  for (const type of ["dragenter", "dragover"]) {
    on(type, (event) => {
      if (isForText(event)) return;
      event.preventDefault();
      place.dataset.drop = "true";
    });
  }
  on("dragleave", (event) => {
    if (!place.contains(event.relatedTarget)) delete place.dataset.drop;
  });
  on("drop", (event) => {
    if (isForText(event)) return;
    // Else a browser would leave the page for what is dropped.
    event.preventDefault();
    delete place.dataset.drop;
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });
}

/** Tells whether words are dragged to where words are written, which browsers do by themselves. */
function isForText({ target, dataTransfer }) {
  return target.matches?.("textarea, input") && !dataTransfer.types.includes("Files");
}
