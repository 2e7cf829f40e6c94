"use strict";
/* The kiosk: shows what the server says, and "out of service" as soon as it says nothing any more. */

const SILENCE = 4000; // ms without a word from the server (it speaks every second) before it counts as gone
const REOPEN = 3000; // ms before a stream that the browser gave up is opened again
const CUT = 10000; // ms of silence after which one that still looks open is, too: a pulled cable closes nothing
const TURN = 6000; // ms in one language, where the page speaks several in turn
const SVG = "http://www.w3.org/2000/svg";
const STAGE = 1000; // width of the camera's picture in the mirror's own units
const HEAD = 108; // height of a drawn head in the figure's own units
const REACH = { side: 150, above: 150, below: 230 }; // what must be in the mirror around a head, in the same units
const LIVE_REACH = { side: 60, above: 130, below: 60 }; // the same around a face in a live picture, which shows its own body
const LEAST_SCALE = 0.5; // people further away are drawn this large
const FIGURE = Object.fromEntries(
  JSON.parse(document.getElementById("verdicts").textContent).map((verdict) => [verdict.key, verdict.figure]),
);
const WITHOUT_MIRROR = ["starting", "out_of_service"];

const SPOKEN = JSON.parse(document.getElementById("spoken").textContent);
const LANGUAGES = Object.keys(SPOKEN);
const body = document.body;
const byId = (id) => document.getElementById(id);
const [icon, headline, detail, stage, picture] = ["icon", "headline", "detail", "stage", "picture"].map(byId);
const message = document.querySelector(".message");
const mirror = document.querySelector(".mirror");
const figures = new Map();
let heardAt = performance.now();
let openedAt = heardAt;
let turnedAt = heardAt;
let stream = null;
let turn = 0;
let played = "";

function show(mode) {
  if (body.dataset.mode === mode && body.dataset.ready) return;
  body.dataset.mode = mode;
  body.dataset.ready = "yes";
  icon.setAttribute("href", `#icon-${FIGURE[mode] ?? mode}`);
  turn = 0;
  turnedAt = performance.now();
  speak();
}

/* Everything that is said, in the language whose turn it is. */
function speak() {
  const texts = SPOKEN[LANGUAGES[turn]];
  document.documentElement.lang = LANGUAGES[turn];
  document.title = texts["kiosk.title"];
  mirror.ariaLabel = texts["kiosk.mirror"];
  headline.textContent = texts[`kiosk.${body.dataset.mode}.headline`];
  detail.textContent = texts[`kiosk.${body.dataset.mode}.detail`];
  byId("privacy").textContent = texts[`kiosk.privacy.${body.dataset.picture === "on" ? "picture" : "silhouette"}`];
  byId("source").hidden = !played;
  byId("source").textContent = played ? texts[`kiosk.source.${played}`] : "";
  fit();
}

function takeTurns() {
  if (LANGUAGES.length < 2 || performance.now() - turnedAt < TURN) return;
  turnedAt = performance.now();
  turn = (turn + 1) % LANGUAGES.length;
  speak();
}

/* The largest headline whose longest word and last line still fit, in any language. */
function fit() {
  let [low, high] = [16, Math.min(innerWidth, innerHeight) * 0.26];
  while (high - low > 1) {
    const size = (low + high) / 2;
    headline.style.fontSize = `${size}px`;
    const fits = message.scrollHeight <= message.clientHeight && headline.scrollWidth <= message.clientWidth;
    [low, high] = fits ? [size, high] : [low, size];
  }
  headline.style.fontSize = `${low}px`;
}

function draw(people, aspect) {
  const height = STAGE / (aspect || 4 / 3);
  const seen = new Set(people.map((person) => person.id));
  for (const [id, figure] of figures) {
    if (seen.has(id)) continue;
    figure.remove();
    figures.delete(id);
  }
  const heads = people.map((person) => headOf(person, height)).sort((a, b) => a.scale - b.scale);
  for (const head of heads) place(head);
  showGhost(people.length === 0, height);
  frame(heads, height);
}

const headOf = (person, height) => ({
  person,
  x: (person.x + person.w / 2) * STAGE,
  y: (person.y + person.h / 2) * height,
  scale: Math.max((person.h * height) / HEAD, LEAST_SCALE),
});

/* The part of the picture that the mirror shows: in the mirror's own proportions, with everybody's head and sign in it. */
function frame(heads, height) {
  const ratio = mirror.clientWidth / Math.max(1, mirror.clientHeight);
  const live = body.dataset.picture === "on";
  const usual = ratio > STAGE / height ? STAGE : height * ratio;
  if (heads.length === 0) {
    crop((STAGE - usual) / 2, (height - usual / ratio) / 2, usual, ratio, height);
    return;
  }
  const reach = live ? LIVE_REACH : REACH;
  const within = (value, whole) => (live ? Math.min(Math.max(value, 0), whole) : value);
  const left = within(Math.min(...heads.map((head) => head.x - reach.side * head.scale)), STAGE);
  const right = within(Math.max(...heads.map((head) => head.x + reach.side * head.scale)), STAGE);
  const top = within(Math.min(...heads.map((head) => head.y - reach.above * head.scale)), height);
  const bottom = within(Math.max(...heads.map((head) => head.y + reach.below * head.scale)), height);
  const width = Math.max(usual, right - left, (bottom - top) * ratio);
  crop(slide(left, right, width, STAGE, live), slide(top, bottom, width / ratio, height, live), width, ratio, height);
}

/* Where a window of a given length begins: within the picture as far as possible, and never cutting what it must show.
   It follows figures; over a live picture it stays in the middle until somebody would be cut. */
function slide(from, to, length, whole, still) {
  const centred = ((still ? whole : from + to) - length) / 2;
  const inside = length >= whole ? (whole - length) / 2 : Math.min(Math.max(centred, 0), whole - length);
  return Math.min(Math.max(inside, to - length), from);
}

/* Show the window that begins at x, y. */
function crop(x, y, width, ratio, height) {
  const share = (value, whole) => `${((100 * value) / whole).toFixed(2)}%`;
  const tall = width / ratio;
  stage.setAttribute("viewBox", [x, y, width, tall].map((value) => value.toFixed(1)).join(" "));
  Object.assign(picture.style, {
    left: share(-x, width), top: share(-y, tall), width: share(STAGE, width), height: share(height, tall),
  });
}

function place({ person, x, y, scale }) {
  let figure = figures.get(person.id);
  if (!figure) {
    figure = group("body", "", "badge");
    figures.set(person.id, figure);
  }
  stage.append(figure);
  const [torso, kit, badge] = figure.children;
  torso.setAttribute("class", "figure");
  kit.setAttribute("class", "figure");
  figure.setAttribute("class", `person ${person.verdict}${person.away ? " away" : ""}`);
  kit.setAttribute("href", `#${FIGURE[person.verdict]}`);
  badge.setAttribute("href", `#badge-${FIGURE[person.verdict]}`);
  badge.setAttribute("y", "-92");
  put(figure, x, y, scale);
}

/* Where somebody could stand, while nobody does. */
function showGhost(wanted, height) {
  const ghost = figures.get("ghost");
  if (!wanted || body.dataset.picture === "on") {
    ghost?.remove();
    figures.delete("ghost");
  } else if (!ghost) {
    const figure = group("body", "worn");
    figure.setAttribute("class", "person ghost");
    put(figure, STAGE / 2, height * 0.42, height / 420);
    figures.set("ghost", figure);
    stage.append(figure);
  }
}

function group(...parts) {
  const figure = document.createElementNS(SVG, "g");
  for (const part of parts) {
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", `#${part}`);
    figure.append(use);
  }
  return figure;
}

function put(figure, x, y, scale) {
  figure.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px) scale(${scale.toFixed(3)})`;
}

/* Not before the page is loaded: it would never be, as the picture never ends. */
function showPicture(wanted) {
  if (body.dataset.picture !== "on" || document.readyState !== "complete" || picture.hidden !== wanted) return;
  picture.hidden = !wanted;
  if (wanted) picture.src = `picture?${Date.now()}`;
  else picture.removeAttribute("src");
}

function hear(state) {
  heardAt = performance.now();
  if (state.release !== body.dataset.release) {
    location.reload();
    return;
  }
  show(state.mode);
  name(state.source);
  showPicture(!WITHOUT_MIRROR.includes(state.mode));
  draw(body.dataset.picture === "on" ? state.people.filter((person) => !person.away) : state.people, state.aspect);
}

/* Who tries the demo at the door's screen should not take its people for those in front of it. */
function name(source = "") {
  if (source === played) return;
  played = source;
  speak();
}

function showLogo() {
  const logo = byId("logo");
  if (!body.dataset.logo) return;
  logo.addEventListener("load", () => {
    logo.hidden = false;
    fit();
  });
  logo.src = body.dataset.logo;
}

function lose() {
  show("out_of_service");
  showPicture(false);
  draw([], 4 / 3);
}

function open() {
  stream?.close();
  openedAt = performance.now();
  stream = new EventSource("events");
  stream.addEventListener("state", (event) => hear(JSON.parse(event.data)));
  stream.addEventListener("bye", lose);
}

/* A stream that the browser gave up was refused: a server that is well and refuses us wants the token. */
async function reopen() {
  if (performance.now() - Math.max(heardAt, openedAt) > CUT) open();
  if (stream.readyState !== EventSource.CLOSED) return;
  const answer = await fetch(".", { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.redirected || answer?.status === 401) location.reload();
  else open();
}

setInterval(() => performance.now() - heardAt > SILENCE && lose(), 500);
setInterval(reopen, REOPEN);
setInterval(takeTurns, 250);
addEventListener("resize", fit);
document.fonts.ready.then(fit);
show(body.dataset.mode);
showLogo();
open();
