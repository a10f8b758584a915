// Having made what the form asks for: what it would take, first, and what stands against it.

import { Problem } from "../common/api.js";
import { attemptIn } from "../common/dialog.js";
import { $, write } from "../common/dom.js";
import { roster } from "../common/personalities.js";
import { begin, beginIfAgreed, estimate, leftToMake, showEstimate } from "./estimate.js";
import { asked, lineNumber } from "./form.js";

const REASONS_TOLD = 3;
const LINES_TOLD = 4;

const form = $("prewarm-form");
const area = $("prewarm-phrases");
let estimating = new AbortController();

/** Works out what it takes, and does the action with that; what is changed in the form meanwhile ends it. */
function attempt(action) {
  return attemptIn(form, async () => {
    showEstimate(null);
    const body = asked();
    estimating = new AbortController();
    write($("prewarm-asking"), "Working out what it takes…");
    try {
      const estimated = await estimate(body, estimating);
      write($("prewarm-asking"), "");
      showEstimate(estimated);
      await action(body, estimated);
    } catch (error) {
      if (error.code === "not_found") roster.load();
      throw error instanceof Problem ? withLines(error) : error;
    } finally {
      write($("prewarm-asking"), "");
    }
  });
}

async function make(body, estimated) {
  if (leftToMake(estimated) === 0) return null;
  return estimated.estimated_cost_usd > 0 ? beginIfAgreed(body, estimated) : begin(body);
}

/** Says of errors in single phrases in which lines they stand, and selects the first of these. */
function withLines(problem) {
  const lines = new Map();
  for (const { field, message } of problem.errors) {
    const [, index] = /^phrases\.(\d+)$/.exec(field) ?? [];
    if (index !== undefined) lines.set(message, [...(lines.get(message) ?? []), lineNumber(index)]);
  }
  if (lines.size === 0) return problem;
  const reasons = [...lines].slice(0, REASONS_TOLD).map(([message, numbers]) => `${named(numbers)}: ${message}.`);
  if (lines.size > REASONS_TOLD) reasons.push("Other lines cannot be used, either.");
  selectLine([...lines.values()][0][0]);
  const others = problem.errors.filter(({ field }) => !field.startsWith("phrases."));
  const errors = [{ field: "phrases", message: reasons.join("\n") }, ...others];
  return new Problem({ code: problem.code, detail: problem.message, errors });
}

function named(numbers) {
  if (numbers.length === 1) return `Line ${numbers[0]}`;
  const last = numbers.length > LINES_TOLD ? "others" : numbers.at(-1);
  return `Lines ${numbers.slice(0, Math.min(LINES_TOLD, numbers.length - 1)).join(", ")} and ${last}`;
}

function selectLine(number) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((length, line) => length + line.length + 1, 0);
  area.setSelectionRange(start, start + lines[number - 1].length);
}

/** `onBegun` gets a batch that was begun, and its phrases. */
export function startMaking({ onBegun }) {
  form.addEventListener("input", () => {
    estimating.abort();
    showEstimate(null);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async (body, estimated) => {
      const batch = await make(body, estimated);
      if (!batch) return;
      showEstimate(null); // what it told of is not to be made any more
      onBegun(batch, body.phrases);
    });
  });
  $("prewarm-estimate").addEventListener("click", () => attempt(() => {}));
}
