// Buttons that copy a text.

const SHOWN_MS = 2000;

/** Makes a button copy what `text()` gives, and say that it did. */
export function makeCopyButton(button, text) {
  const label = button.textContent;
  let timer;
  button.addEventListener("click", async () => {
    button.textContent = (await hasCopied(text())) ? "Copied" : "Not copied";
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = label), SHOWN_MS);
  });
}

async function hasCopied(text) {
  try {
    await navigator.clipboard.writeText(text); // absent where the page came by plain HTTP from elsewhere
    return true;
  } catch {
    return false;
  }
}
