// Asking for speech, and following its job until there is audio.

import { Problem, call, callWith } from "../common/api.js";
import { wavOfPcm } from "../common/wav.js";

const POLL_FIRST_MS = 150;
const POLL_LONGEST_MS = 1000;

/** Gives the sound of a request as it is played, the file as it was given, and what the farm says of it; `onProgress` gets the job that is waited for. */
export async function speak(request, { signal, onProgress }) {
  const begun = performance.now();
  let answer = await callWith("POST", "/api/voice/synthesize", request, { signal });
  const cache = answer.headers.get("X-Cache-Status");
  if (answer.status === 202) {
    const job = await follow(answer.body, { signal, onProgress });
    answer = await call(job.audio.url, { signal });
  }
  const sound = playable(answer, request.format);
  return {
    cache,
    sound,
    url: URL.createObjectURL(sound),
    file: answer.body,
    provider: answer.headers.get("X-Provider"),
    durationMs: Number(answer.headers.get("X-Duration-MS")),
    isDegraded: answer.headers.get("X-Degraded") === "true",
    elapsedMs: performance.now() - begun,
  };
}

/** Gives the answer's audio as a Blob that browsers play: those know no bare PCM. */
function playable({ body, headers }, format) {
  return format === "pcm" ? wavOfPcm(body, Number(headers.get("X-Sample-Rate"))) : body;
}

/** Asks for a job, ever more seldom, until it has succeeded. */
async function follow(job, { signal, onProgress }) {
  let pauseMs = POLL_FIRST_MS;
  while (job.status === "queued" || job.status === "running") {
    onProgress(job);
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 1.5, POLL_LONGEST_MS);
    job = (await call(`/api/voice/jobs/${job.id}`, { signal })).body;
  }
  if (job.status === "failed") throw new Problem({ ...job.error, attempts: job.attempts });
  if (job.status === "cancelled") throw new Problem({ title: "Cancelled", detail: "Somebody cancelled it" });
  return job;
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    setTimeout(resolve, ms);
  });
}
