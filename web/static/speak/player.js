// Playing what was spoken, and its waveform.

import { Problem } from "../common/api.js";
import { $ } from "../common/dom.js";
import WaveSurfer from "../vendor/wavesurfer/wavesurfer.esm.js";

const WAVEFORM_HEIGHT_PX = 72;
const BAR = { barWidth: 2, barGap: 1, barRadius: 2, barMinHeight: 1 };
const ANY_RATE_HZ = 48_000; // what a decoder's result is converted to

const audio = $("audio");
const darkness = matchMedia("(prefers-color-scheme: dark)");
let waveform = null;

/** Plays from the beginning; where the browser wants to be touched first, it offers the button Play. */
export async function play({ sound, url }) {
  if (url !== audio.src) {
    $("waveform").hidden = true;
    audio.src = url;
    drawWaveform(url, sound);
  }
  audio.currentTime = 0;
  await start();
}

export async function start() {
  try {
    await audio.play();
    $("play").hidden = true;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.name !== "NotAllowedError") {
      throw new Problem({ title: "This browser cannot play it", detail: error.message });
    }
    $("play").hidden = false;
  }
}

export function stop() {
  audio.pause();
  $("play").hidden = true;
}

/** Draws what is heard; a browser that cannot decode it (Opus, in some) plays it without. */
async function drawWaveform(url, data) {
  let decoded;
  try {
    decoded = await new OfflineAudioContext(1, 1, ANY_RATE_HZ).decodeAudioData(await data.arrayBuffer());
  } catch (error) {
    if (error.name === "EncodingError") return;
    throw error;
  }
  if (audio.src !== url) return; // something else is played by now
  $("waveform").hidden = false;
  const peaks = [decoded.getChannelData(0)];
  if (waveform) await waveform.load(url, peaks, decoded.duration);
  else waveform = makeWaveform({ url, peaks, duration: decoded.duration });
}

function makeWaveform(sound) {
  const made = WaveSurfer.create({
    container: $("waveform"),
    media: audio,
    height: WAVEFORM_HEIGHT_PX,
    normalize: true,
    cspNonce: document.querySelector("meta[name=csp-nonce]").nonce,
    ...sound,
    ...BAR,
    ...colours(),
  });
  darkness.addEventListener("change", () => made.setOptions(colours()));
  return made;
}

function colours() {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  return { waveColor: colour("--soft"), progressColor: colour("--accent"), cursorColor: colour("--ink") };
}
