// A line over time, by uPlot.

import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT_PX = 160;
const VALUES_PX = 64;
const TIMES_PX = 40; // two lines
const NARROWEST_PX = 120;
// Half of the label of a time, which stands below the very end of the axis.
const RIGHT_PX = 32;
const DECADES = 13;

const darkness = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Makes an empty chart in a place; `write` puts one of its numbers into words, two of which differ when they are
 * `least` apart; `range` is of its axis.
 */
export function makeChart(place, { write, least, range }) {
  const words = (value) => (value === null || value === undefined ? "–" : write(value));
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false } };
  const plot = new uPlot(
    {
      width: NARROWEST_PX,
      height: HEIGHT_PX,
      padding: [8, RIGHT_PX, 0, 0],
      scales: { y: { range: (_plot, _low, high) => range ?? [0, Math.max(high * 1.1, least)] } },
      axes: [
        { ...axis, size: TIMES_PX },
        { ...axis, size: VALUES_PX, space: 40, incrs: steps(least), values: (_plot, ticks) => ticks.map(words) },
      ],
      series: [
        { value: (_plot, at) => (at === null ? "" : new Date(at * 1000).toLocaleString("en")) },
        {
          label: "",
          stroke: () => colour("--accent"),
          fill: () => colour("--tint"),
          width: 2,
          points: { size: 4, show: isAlone },
          value: (_plot, value) => words(value),
        },
      ],
      legend: { show: true },
    },
    [[], []],
    place,
  );
  new ResizeObserver(() => fit(plot, place)).observe(place);
  darkness.addEventListener("change", () => plot.redraw(false));
  return {
    show(times, values) {
      plot.setData([times, values]);
      fit(plot, place);
      const known = values.filter((value) => value !== null);
      place.ariaLabel =
        known.length === 0
          ? "Nothing was asked for in this time."
          : `Last ${words(known.at(-1))}; lowest ${words(Math.min(...known))}, highest ${words(Math.max(...known))}.`;
    },
  };
}

/** Gives the steps between two labels of an axis; with any smaller one they would read the same. */
function steps(least) {
  return Array.from({ length: DECADES }, (_, decade) => [1, 2, 5].map((digit) => digit * least * 10 ** decade)).flat();
}

/** Shows points only where a line between two would not be seen. */
function isAlone(plot, series) {
  return plot.data[series].filter((value) => value !== null).length < 3;
}

function fit(plot, place) {
  const width = Math.max(NARROWEST_PX, place.clientWidth);
  if (width !== plot.width) plot.setSize({ width, height: HEIGHT_PX });
}
