// A line over time, by uPlot.

import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT_PX = 170;
const AXIS_PX = 64;
const NARROWEST_PX = 120;

const darkness = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Makes an empty chart in a place; `write` puts one of its numbers into words, `range` is of its axis. */
export function makeChart(place, { write, range }) {
  const words = (value) => (value === null || value === undefined ? "–" : write(value));
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false } };
  const plot = new uPlot(
    {
      width: NARROWEST_PX,
      height: HEIGHT_PX,
      padding: [8, 8, 0, 0],
      scales: { y: { range: (_plot, _low, high) => range ?? [0, high > 0 ? high * 1.1 : 1] } },
      axes: [axis, { ...axis, size: AXIS_PX, space: 40, values: (_plot, ticks) => ticks.map(words) }],
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

/** Shows points only where a line between two would not be seen. */
function isAlone(plot, series) {
  return plot.data[series].filter((value) => value !== null).length < 3;
}

function fit(plot, place) {
  const width = Math.max(NARROWEST_PX, place.clientWidth);
  if (width !== plot.width) plot.setSize({ width, height: HEIGHT_PX });
}
