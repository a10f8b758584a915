// Recording from the microphone, sample by sample, as the browser hears them: nothing is compressed or cleaned.

import { Problem } from "../common/api.js";
import { encodeWav } from "../common/wav.js";

// What browsers do to a voice for telephoning would be cloned along with it.
const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const UPLOAD = "Or upload a file that was recorded elsewhere.";
// By the name of the DOMException, after the W3C's "Media Capture and Streams".
const REASONS = {
  NotAllowedError: [
    "This page may not use the microphone",
    "Allow it in the browser's settings for this page, left of the address, and record again.",
  ],
  NotFoundError: ["There is no microphone", "Connect one, and record again."],
  NotReadableError: [
    "The microphone cannot be used",
    "Another program may be using it; close that one, and record again.",
  ],
};

/** A recording under way. */
class Recording {
  #stream;
  #context;
  #chunks = [];
  #frames = 0;
  #mostFrames;
  #isOver = false;
  #end;
  /** Gives the WAV file and its length in seconds, when `stop` was called or the longest time is over. */
  finished = new Promise((resolve) => (this.#end = resolve));

  constructor({ stream, context, maxSeconds, onHeard, signal }) {
    this.#stream = stream;
    this.#context = context;
    this.#mostFrames = Math.floor(maxSeconds * context.sampleRate);
    const options = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const node = new AudioWorkletNode(context, "recorder", options);
    node.port.addEventListener("message", ({ data }) => this.#hear(data, onHeard));
    node.port.start();
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0].addEventListener("ended", () => this.stop()); // it was unplugged
    signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  stop() {
    if (this.#isOver) return;
    this.#close();
    const samples = new Float32Array(Math.min(this.#frames, this.#mostFrames));
    let place = 0;
    for (const chunk of this.#chunks) {
      samples.set(chunk.subarray(0, samples.length - place), place);
      place += chunk.length;
    }
    const { sampleRate } = this.#context;
    const file = new File([encodeWav(samples, sampleRate)], "recording.wav", { type: "audio/wav" });
    this.#end({ file, seconds: samples.length / sampleRate });
  }

  #close() {
    this.#isOver = true;
    release(this.#stream, this.#context);
  }

  #hear(chunk, onHeard) {
    if (this.#isOver) return; // what was on its way when it was stopped
    this.#chunks.push(chunk);
    this.#frames += chunk.length;
    const frames = Math.min(this.#frames, this.#mostFrames);
    onHeard({ seconds: frames / this.#context.sampleRate, ...levels(chunk) });
    if (frames === this.#mostFrames) this.stop();
  }
}

/**
 * Begins to record; the person may be asked for permission first. `onHeard` is told many times a second how
 * long it is (`seconds`), and of the sound since the last time the RMS (`levelDbfs`) and the `peak`, 0 to 1.
 *
 * Throws a Problem where nothing can be recorded, and the signal's reason when that was given while asking.
 */
export async function record({ maxSeconds, onHeard, signal }) {
  const stream = await openMicrophone();
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    await context.resume();
    signal.throwIfAborted();
    return new Recording({ stream, context, maxSeconds, onHeard, signal });
  } catch (error) {
    release(stream, context);
    throw error;
  }
}

function release(stream, context) {
  for (const track of stream.getTracks()) track.stop();
  if (context.state !== "closed") context.close();
}

async function openMicrophone() {
  if (!navigator.mediaDevices) {
    const detail = `Browsers allow it over https, and over http on the farm's own machine only: open ${atHome()}.`;
    throw new Problem({ title: "This page cannot record at its present address", detail: `${detail} ${UPLOAD}` });
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  } catch (error) {
    const [title, remedy] = REASONS[error.name] ?? ["The microphone does not work", `${error.message}.`];
    throw new Problem({ title, detail: `${remedy} ${UPLOAD}` });
  }
}

function atHome() {
  return `http://localhost${location.port && `:${location.port}`}`;
}

/** Gives the levels of Float32 samples. */
function levels(chunk) {
  let [power, peak] = [0, 0];
  for (const sample of chunk) {
    power += sample * sample;
    peak = Math.max(peak, Math.abs(sample));
  }
  return { levelDbfs: 10 * Math.log10(power / chunk.length + 1e-12), peak };
}
