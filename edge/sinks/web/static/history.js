"use strict";
/* The history page: asks for a day, a week or a month, which the address names, and draws it. */

const ANSWER_WITHIN = 15000;
const PAPER = 720; // width of a chart on paper, in its own units: its letters are as large as the table's
const WELCOME = TABLE.filter((verdict) => verdict.welcome).map((verdict) => verdict.key);
const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const number = new Intl.NumberFormat(language);
const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const signed = new Intl.NumberFormat(language, { signDisplay: "exceptZero" });
const byId = (id) => document.getElementById(id);
const say = (key, values = {}) =>
  (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").trim();
const day = (date, format) =>
  new Intl.DateTimeFormat(language, { timeZone: "UTC", ...format }).format(new Date(`${date}T00:00:00Z`));
const MONDAY = "2024-01-01";
const weekday = (index, format) => {
  const date = new Date(`${MONDAY}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + index);
  return new Intl.DateTimeFormat(language, { timeZone: "UTC", weekday: format }).format(date);
};
let shown = null;

function address(by, at) {
  const search = new URLSearchParams({ by, ...(at ? { at } : {}) });
  const chosen = new URLSearchParams(location.search).get("lang");
  if (chosen) search.set("lang", chosen);
  return `?${search}`;
}

function title({ by, at }) {
  if (by === "month") return day(at, { month: "long", year: "numeric" });
  const date = day(at, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  return by === "week" ? say("history.week_of", { date: day(at, { dateStyle: "long" }) }) : date;
}

function showWays(answer) {
  byId("span").textContent = title(answer);
  document.title = `${title(answer)} · ${byId("door").textContent}`;
  for (const link of document.querySelectorAll("#spans a")) {
    link.href = address(link.dataset.by, answer.at);
    if (link.dataset.by === answer.by) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("previous").href = address(answer.by, answer.previous);
  byId("next").hidden = answer.next === null;
  if (answer.next) byId("next").href = address(answer.by, answer.next);
  const asked = `?${new URLSearchParams({ by: answer.by, at: answer.at, lang: language })}`;
  byId("steps").hidden = false;
  byId("hours-csv").href = `history/hours.csv${asked}`;
  byId("visits-csv").href = `history/visits.csv${asked}`;
}

function tile(name, value, notes, className) {
  const made = element("div", "", `tile ${className}`);
  made.append(element("dt", name), element("dd", value), ...notes.map((note) => element("dd", note, "change")));
  return made;
}

function change(now, before) {
  return say("history.before", { value: number.format(before), change: signed.format(now - before) });
}

function showTiles({ total, before }) {
  const rate = total.compliance === null ? "–" : percent.format(total.compliance);
  const masked = WELCOME.reduce((sum, verdict) => sum + total[verdict], 0);
  const of = say("history.of", { masked: number.format(masked), judged: number.format(total.judged) });
  const earlier = before.compliance === null ? "" : say("history.rate_before", { value: percent.format(before.compliance) });
  fill(byId("tiles"), [
    tile(say("history.compliance"), rate, [of, earlier].filter(Boolean), "visits rate"),
    tile(say("operator.visits"), number.format(total.visits), [change(total.visits, before.visits)], "visits"),
    ...VERDICTS.map((verdict) =>
      tile(say(`operator.verdict.${verdict}`), number.format(total[verdict]), [change(total[verdict], before[verdict])], verdict),
    ),
  ]);
}

/* A heading, and what stands there on a phone. */
function heading(scope, long, short = long) {
  const made = element("th");
  made.scope = scope;
  if (long === short) made.textContent = long;
  else made.append(element("span", long, "long"), element("span", short, "short"));
  return made;
}

function row(name, figures) {
  const made = element("tr");
  const head = heading("row", ...name);
  const rate = figures.compliance === null ? "–" : percent.format(figures.compliance);
  const cells = [...VERDICTS.map((verdict) => number.format(figures[verdict])), number.format(figures.visits), rate];
  made.append(head, ...cells.map((cell) => element("td", cell)));
  return withoutUnjudged(made);
}

function showTable(id, names, groups) {
  const titles = [`history.${id}`, ...VERDICTS.map((verdict) => `operator.verdict.${verdict}`), "operator.visits"];
  const top = element("tr");
  top.append(...titles.map((key) => heading("col", say(key))), heading("col", say("history.compliance"), say("history.rate")));
  fill(byId(`${id}-head`), [withoutUnjudged(top)]);
  byId(`${id}-table`).parentElement.hidden = !groups.some((figures) => figures.visits);
  const rows = groups.map((figures, index) => [figures, index]).filter(([figures]) => figures.visits);
  fill(byId(`${id}-rows`), rows.map(([figures, index]) => row(names[index], figures)));
}

function draw(room) {
  const slots = (groups) => groups.map((figures, slot) => ({ slot, ...figures }));
  const none = say("history.none");
  const chart = byId("hours-chart");
  drawStack(chart, slots(shown.hours), hourLabels(room ?? chart.clientWidth), VERDICTS, number, none, room);
  const week = byId("weekdays-chart");
  if (byId("weekdays").hidden) return;
  drawStack(week, slots(shown.weekdays), shown.weekdays.map((_, index) => weekday(index, "short")), VERDICTS, number, none, room);
}

/* Shown once it is filled; only the charts are drawn afterwards, as they need their width. */
function showCounts(answer) {
  shown = answer;
  showTiles(answer);
  byId("note").textContent = answer.partial ? say(`history.partial.${answer.by}`) : say("history.compared");
  byId("weekdays").hidden = answer.by === "day" || !answer.total.visits;
  byId("legend").hidden = !answer.total.visits;
  showTable("hours", answer.hours.map((_, hour) => [`${hour}:00`]), answer.hours);
  showTable("weekdays", answer.weekdays.map((_, index) => [weekday(index, "long"), weekday(index, "short")]), answer.weekdays);
  byId("counted").hidden = false;
  draw();
}

function showTrouble(sentence) {
  if (!shown) byId("span").textContent = say("history.title");
  byId("attention").hidden = false;
  byId("reason").textContent = sentence;
  byId("counted").hidden = true;
}

async function ask() {
  try {
    const search = new URLSearchParams(location.search);
    search.set("lang", language);
    const answer = await fetch(`api/history?${search}`, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN) });
    if (answer.status === 401) location.reload();
    const said = await answer.json();
    if (!answer.ok) return showTrouble(say("history.no_such_time"));
    showWays(said);
    if (said.trouble) return showTrouble(said.trouble);
    if (!said.stored) return showTrouble(say("history.not_stored"));
    return showCounts(said);
  } catch (error) {
    console.warn(error);
    return showTrouble(say("operator.unreachable"));
  }
}

for (const verdict of VERDICTS) byId("legend").append(element("li", say(`operator.verdict.${verdict}`), verdict));
byId("print").addEventListener("click", () => print());
addEventListener("resize", () => shown && draw());
addEventListener("beforeprint", () => shown && draw(PAPER));
addEventListener("afterprint", () => shown && draw());
ask();
