"use strict";
/* Stacked bars as SVG, the verdicts, and the small helpers of the pages for operators. */

const SVG = "http://www.w3.org/2000/svg";
const CHART = { height: 260, left: 48, right: 10, top: 14, bottom: 34, steps: 4, gap: 0.14, narrow: 480, least: 240 };
const TABLE = JSON.parse(document.getElementById("verdicts").textContent);
const VERDICTS = TABLE.map((verdict) => verdict.key);
const UNJUDGED = TABLE.findIndex((verdict) => !verdict.welcome && !verdict.alarming);

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* Replace children only where their text changed, so that a reader's place and focus stay. */
function fill(parent, children) {
  const text = (nodes) => [...nodes].map((node) => node.outerHTML).join("");
  if (text(parent.children) !== text(children)) parent.replaceChildren(...children);
}

/* The row of a table, a name and then a number for each verdict. A phone has no room for those who could not be judged;
   their number is in a tile. */
function withoutUnjudged(row) {
  if (UNJUDGED >= 0) row.children[UNJUDGED + 1].classList.add("long");
  return row;
}

function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/* A round number of four equal whole steps at or above `most`. */
function nice(most) {
  const step = most / CHART.steps;
  const power = 10 ** Math.floor(Math.log10(step));
  const round = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).filter(Number.isInteger);
  return CHART.steps * round.find((one) => one >= step);
}

/* Draw `bars`, each {slot, visits, <verdict>: count}, over `labels`, one for each slot; an empty label is not drawn. */
function drawStack(svg, bars, labels, verdicts, number, none, room = svg.clientWidth) {
  const { height, left, right, top, bottom, steps, gap, least } = CHART;
  const width = Math.max(room, least);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [floor, span] = [height - bottom, height - bottom - top];
  const most = nice(Math.max(steps, ...bars.map((bar) => bar.visits)));
  const slot = (width - left - right) / labels.length;
  const drawn = [];
  const empty = !bars.some((bar) => bar.visits);
  for (let step = 0; step <= steps; step += 1) {
    const y = floor - (span * step) / steps;
    drawn.push(shape("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
    if (!empty) drawn.push(shape("text", { x: left - 8, y: y + 5, "text-anchor": "end" }, number.format((most * step) / steps)));
  }
  labels.forEach((label, index) => {
    const middle = { x: left + slot * (index + 0.5), y: height - 8, "text-anchor": "middle" };
    if (label) drawn.push(shape("text", middle, label));
  });
  for (const bar of bars) {
    let y = floor;
    for (const verdict of verdicts.filter((one) => bar[one])) {
      const tall = (bar[verdict] * span) / most;
      y -= tall;
      const x = left + slot * (bar.slot + gap);
      drawn.push(shape("rect", { class: verdict, x, y, width: slot * (1 - 2 * gap), height: tall }));
    }
  }
  if (empty) drawn.push(shape("text", { class: "none", x: width / 2, y: (top + floor) / 2 }, none));
  fill(svg, drawn);
}

/* Hours of a day, every third or sixth named. */
const hourLabels = (width) =>
  [...Array(24).keys()].map((hour) => (hour % (width <= CHART.narrow ? 6 : 3) ? "" : `${hour}:00`));
