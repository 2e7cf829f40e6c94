"use strict";
/* The operator's page: shows how things stand, and says when nobody answers. */

const MARKS = { alert_on: "▲", alert_off: "△", camera_lost: "✕", camera_back: "✓", visit_started: "→", visit_ended: "←", verdict: "●", operator: "◆" };
const BAD = TABLE.filter((verdict) => verdict.alarming).map((verdict) => verdict.key);
const GOOD = TABLE.filter((verdict) => verdict.welcome).map((verdict) => verdict.key);

const OFFSET = Number(document.getElementById("bar").dataset.offset) * 60000;
/* Of the door from UTC, in milliseconds. */

const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const number = new Intl.NumberFormat(language);
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23", timeZone: "UTC" });
const byId = (id) => document.getElementById(id);
const say = (key, values = {}) =>
  (texts[`operator.${key}`] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").trim();
let shownHours = [];
let whyNone = "";

function nameVerdicts() {
  const visits = byId("hours-head").lastElementChild;
  for (const verdict of VERDICTS) {
    const name = say(`verdict.${verdict}`);
    const tile = element("div", "", `tile ${verdict}`);
    const total = element("dd", "–");
    total.id = `total-${verdict}`;
    tile.append(element("dt", name), total);
    byId("tiles").append(tile);
    byId("legend").append(element("li", name, verdict));
    const head = element("th", name);
    head.scope = "col";
    visits.before(head);
  }
  withoutUnjudged(byId("hours-head"));
}

function showHealth(health, reasons, source, counted) {
  const pill = byId("health");
  pill.dataset.health = health;
  const played = source && source !== "camera" && !counted ? ` · ${say(`source.${source}`)}` : "";
  const words = say(`health.${health}`) + played;
  if (pill.textContent !== words) pill.textContent = words;
  byId("attention").hidden = reasons.length === 0;
  fill(byId("reasons"), reasons.map((reason) => element("li", reason)));
}

function showCounts(today, sinceStart) {
  const totals = Object.fromEntries(
    VERDICTS.map((verdict) => [verdict, today.hours.reduce((sum, hour) => sum + hour[verdict], 0)]),
  );
  const shown = today.stored ? totals : (sinceStart ?? totals);
  const figure = (value) => (today.trouble ? "–" : number.format(value)); // no zero that nobody counted
  for (const verdict of VERDICTS) byId(`total-${verdict}`).textContent = figure(shown[verdict]);
  byId("total-visits").textContent = figure(VERDICTS.reduce((sum, verdict) => sum + shown[verdict], 0));
  byId("counts-note").textContent = today.trouble ?? say(today.stored ? "delay" : "not_stored");
  showHours(today.hours, today.trouble ? "" : say(today.stored ? "no_visits" : "not_stored"));
}

function showHours(hours, none) {
  [shownHours, whyNone] = [hours, none];
  const cells = (hour) => [hour.start, ...VERDICTS.map((verdict) => number.format(hour[verdict])), number.format(hour.visits)];
  const rows = hours.map((hour) => {
    const row = element("tr");
    row.append(...cells(hour).map((cell) => element("td", cell)));
    return withoutUnjudged(row);
  });
  fill(byId("hours"), rows);
  const bars = hours.map((hour) => ({ slot: startOf(hour), ...hour }));
  drawStack(byId("chart"), bars, hourLabels(byId("chart").clientWidth), VERDICTS, number, none);
}

const startOf = (hour) => Number(hour.start.slice(0, 2)) + Number(hour.start.slice(3)) / 60;

function describe(event) {
  const verdict = event.verdict ? say(`verdict.${event.verdict}`) : "";
  const seconds = event.seconds === undefined ? "" : fixed(event.seconds, 1);
  return say(`event.${event.event}`, { ...event, verdict, seconds });
}

/* The newest first: the end of a visit is told some time after it. */
const inOrder = (events) => events.toReversed().sort((one, other) => Date.parse(other.time) - Date.parse(one.time));

function showEvents(events) {
  const rows = inOrder(events).map((event) => {
    const bad = event.event !== "alert_off" && (event.event === "camera_lost" || BAD.includes(event.verdict));
    const good = event.event === "camera_back" || GOOD.includes(event.verdict);
    const row = element("li", "", bad ? "bad" : good ? "good" : "");
    const time = element("time", clock.format(new Date(Date.parse(event.time) + OFFSET)));
    time.dateTime = event.time;
    const mark = element("span", MARKS[event.event] ?? "", "mark");
    mark.ariaHidden = "true";
    row.append(time, mark, element("span", describe(event), "what"));
    return row;
  });
  fill(byId("events"), rows.length ? rows : [element("li", say("no_events"))]);
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const parts = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  const units = ["day", "hour", "minute"];
  const shown = parts.map((value, index) => [value, units[index]]).filter(([value]) => value);
  if (!shown.length) shown.push([Math.floor(seconds), "second"]);
  return shown
    .slice(0, 2)
    .map(([value, unit]) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value))
    .join(" ");
}

const fixed = (value, digits) => value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/* What people at the door hear now, and what keeps them from hearing an alarm. */
function alarmNow(on, alerts) {
  const now = say(on ? (alerts.audible ? "alarm.on" : "alarm.silent") : "alarm.off");
  const muted = alerts.muted_for === null ? "" : say("alarm.muted", { minutes: Math.ceil(alerts.muted_for / 60) });
  const quiet = alerts.quiet_hours ? say("alarm.quiet") : "";
  const none = alerts.outputs.length ? "" : say("alarm.none");
  return [now, muted, quiet, none].filter(Boolean).join("; ");
}

function showSystem(status) {
  const unknown = say("unknown");
  const known = (value, text) => (value === null || value === undefined ? unknown : text(value));
  const milliseconds = (stages) => `${fixed(stages.detect * 1000, 1)} + ${fixed(stages.classify * 1000, 1)} ms`;
  const facts = {
    camera: known(status.camera, (camera) => camera.name),
    "camera.losses": known(status.camera, (camera) => number.format(camera.losses)),
    frame_age: known(status.frame_age, (age) => say("ago", { time: age < 60 ? `${fixed(age, 1)} s` : duration(age) })),
    fps: known(status.fps, (fps) => fixed(fps, 1)),
    dropped: known(status.dropped, (dropped) => number.format(dropped)),
    stages: known(status.stages, milliseconds),
    in_view: known(status.people, (people) => number.format(people.length)),
    alarm: known(status.alerts, (alerts) => alarmNow(status.alarm, alerts)),
    runtime: status.runtime || unknown,
    models: status.models.map((model) => `${model.name} (${model.sha256.slice(0, 12)})`).join(", "),
    temperature: known(status.temperature, (degrees) => `${fixed(degrees, 1)} °C`),
    uptime: known(status.uptime, duration),
    version: status.version,
  };
  const rows = Object.entries(facts).flatMap(([key, value]) => [element("dt", say(key)), element("dd", value)]);
  fill(byId("system"), rows);
}

function show(status) {
  showHealth(status.health, status.reasons, status.source, status.counted);
  showCounts(status.today, status.since_start);
  showEvents(status.events);
  showSystem(status);
}

nameVerdicts();
addEventListener("resize", () => showHours(shownHours, whyNone));
follow(show, () => showHealth("unreachable", [say("unreachable")]));
