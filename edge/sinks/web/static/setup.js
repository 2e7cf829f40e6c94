"use strict";
/* The set-up page: look through the camera, draw the zone, try the outputs, change settings. */

const AIM_EVERY = 2000; // ms, while somebody looks through the camera
const OWN = 3000; // ms after an own change in which an event is taken for its echo
const SHORT_MUTE = 300; // s
const LONG_MUTE = 3600; // s

const texts = JSON.parse(document.getElementById("texts").textContent);
const byId = (id) => document.getElementById(id);
const say = (key, values = {}) =>
  (texts[`setup.${key}`] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").trim();
const spoken = (address) => `${address}?lang=${document.documentElement.lang}`;
const zone = new Zone(byId("zone"), say);
let looking = false;
let mayChange = false;
let known = "";
let saidAt = -OWN;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function tell(text, bad = false) {
  const said = byId("said");
  said.textContent = text;
  said.classList.toggle("bad", bad);
  said.hidden = !text;
}

async function send(address, body) {
  saidAt = performance.now();
  try {
    const answer = await fetch(spoken(address), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await answer.json().catch(() => ({}));
    saidAt = performance.now();
    tell(said.said ?? said.error ?? answer.statusText, !answer.ok);
    askOutputs();
    return answer.ok;
  } catch {
    tell(texts["operator.unreachable"], true);
    return false;
  }
}

async function get(address) {
  const answer = await fetch(spoken(address), { cache: "no-store" });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

const change = async (changes) => (await send("api/settings", { changes })) && showSettings();

function look(wanted) {
  looking = wanted;
  const [button, preview] = [byId("look"), byId("preview")];
  button.setAttribute("aria-pressed", String(wanted));
  button.textContent = say(wanted ? "camera.stop" : "camera.look");
  byId("viewer").hidden = !wanted;
  byId("closed").hidden = wanted;
  byId("zone-draw").hidden = !wanted;
  if (wanted) preview.src = `${spoken("camera/preview")}&${Date.now()}`;
  else preview.removeAttribute("src");
  if (!wanted) editZone(false);
  byId("advice").replaceChildren();
}

function editZone(wanted) {
  if (wanted) zone.edit();
  else zone.end();
  for (const id of ["zone-add", "zone-save", "zone-remove", "zone-cancel", "zone-help"]) byId(id).hidden = !wanted;
  byId("zone-draw").hidden = wanted || !looking;
}

async function showAim() {
  if (!looking) return null;
  const aim = await get("api/aim");
  byId("preview").classList.toggle("old", Boolean(aim.trouble));
  const nothing = Boolean(aim.trouble) && !byId("preview").naturalWidth;
  byId("closed").hidden = !nothing;
  byId("viewer").hidden = nothing;
  if (aim.trouble) return byId("advice").replaceChildren(element("li", aim.trouble, "trouble"));
  const advice = aim.advice.map((one) => element("li", say(`advice.${one.key}`, one)));
  const sizes = aim.faces.map((face) => face.pixels).join(", ");
  if (sizes) advice.push(element("li", say("faces", { sizes })));
  if (!aim.advice.length) advice.unshift(element("li", say("advice.well"), "well"));
  return byId("advice").replaceChildren(...advice);
}

function showOutputs(status) {
  const alerts = status.alerts ?? { outputs: [], muted_for: null, quiet_hours: false, audible: false };
  const muted = alerts.muted_for === null ? "" : say("heard.muted", { minutes: Math.ceil(alerts.muted_for / 60) });
  const quiet = alerts.quiet_hours ? say("heard.quiet_hours") : "";
  byId("unmute").hidden = alerts.muted_for === null;
  byId("heard").textContent = [say(alerts.audible ? "heard.yes" : "heard.no"), muted, quiet].filter(Boolean).join(" ");
  const rows = alerts.outputs.map((output) => {
    const row = element("li", "", output.kind);
    const button = element("button", say("try"));
    button.type = "button";
    button.disabled = !mayChange;
    button.addEventListener("click", () => tryOutput(output));
    row.append(element("span", output.name, "name"), button);
    if (output.trouble) row.append(element("span", output.trouble, "trouble"));
    return row;
  });
  const text = JSON.stringify(alerts.outputs);
  if (text !== known) byId("outputs").replaceChildren(...(rows.length ? rows : [element("li", say("outputs.none"))]));
  known = text;
}

function tryOutput(output) {
  if (output.kind === "relay" && !confirm(say("relay.confirm"))) return;
  send("api/control", { do: "try", output: output.kind, confirmed: output.kind === "relay" });
}

async function showSettings() {
  const { can_change: can, why_not: why, settings } = await get("api/settings");
  mayChange = can;
  byId("refused").hidden = can;
  byId("why-not").textContent = can ? "" : say("refused");
  byId("why-not").title = why ?? "";
  for (const button of document.querySelectorAll("main button")) button.disabled = !can;
  const corners = settings.find((setting) => setting.kind === "zone");
  if (corners && !zone.editing) zone.show(corners.value);
  const fields = settings.filter((setting) => setting.kind !== "zone").map((one) => kept(one, can) ?? field(one, can));
  const shown = [...byId("settings").children];
  if (shown.length !== fields.length) byId("settings").replaceChildren(...fields);
  else fields.forEach((one, index) => one !== shown[index] && shown[index].replaceWith(one));
}

/* The field as it stands, where its setting is as it was: somebody may be writing into it. */
function kept(setting, can) {
  const box = byId(`set-${setting.key}`)?.closest(".field");
  return box?.dataset.setting === JSON.stringify([setting, can]) ? box : null;
}

/* Another operator changed something: this page shows it, and says so. */
async function showOthers() {
  if (performance.now() - saidAt < OWN) return;
  await showSettings();
  tell(say("changed_elsewhere"));
}

function field(setting, can) {
  const box = element("div", "", "field");
  box.dataset.setting = JSON.stringify([setting, can]);
  const label = element("label", texts[`setting.${setting.key}`] ?? setting.key);
  const input = setting.choices ? choice(setting) : entry(setting);
  input.id = `set-${setting.key}`;
  input.disabled = !can;
  label.htmlFor = input.id;
  const row = element("div", "", "row");
  const save = element("button", say("save"));
  save.type = "button";
  save.disabled = !can;
  save.addEventListener("click", () => change({ [setting.key]: read(setting, input) }));
  row.append(input, save);
  if (setting.origin === "page") {
    const revert = element("button", say("revert"));
    revert.type = "button";
    revert.disabled = !can;
    revert.addEventListener("click", () => change({ [setting.key]: null }));
    row.append(revert);
  }
  const about = element("p", texts[`setting.${setting.key}.about`] ?? setting.description, "note");
  about.id = `${input.id}-about`;
  input.setAttribute("aria-describedby", about.id);
  box.append(label, row, about);
  return box;
}

/* A language is called what it calls itself. */
function named(setting, value) {
  const own = texts[`setting.${setting.key}.${value}`];
  if (own || setting.key !== "web.language") return own ?? String(value);
  return new Intl.DisplayNames(value, { type: "language" }).of(value);
}

function choice(setting) {
  const select = element("select");
  for (const value of setting.choices) {
    const option = element("option", named(setting, value));
    option.value = String(value);
    option.selected = value === setting.value;
    select.append(option);
  }
  return select;
}

function entry(setting) {
  const input = element("input");
  input.type = setting.kind === "number" ? "number" : "text";
  if (setting.kind === "number") input.step = "any";
  if (setting.minimum !== null) input.min = setting.minimum;
  if (setting.maximum !== null) input.max = setting.maximum;
  input.value = setting.value ?? "";
  return input;
}

function read(setting, input) {
  if (setting.kind !== "number") return input.value;
  return input.value === "" ? null : Number(input.value);
}

async function ask(what) {
  try {
    await what();
  } catch (error) {
    console.warn(error);
    unreachable();
  }
}

const unreachable = () => tell(texts["operator.unreachable"], true);
const askOutputs = follow((status) => {
  if (byId("said").textContent === texts["operator.unreachable"]) tell("");
  showOutputs(status);
}, unreachable);
const askAim = () => ask(showAim);

byId("look").addEventListener("click", () => {
  look(!looking);
  askAim();
});
byId("zone-draw").addEventListener("click", () => editZone(true));
byId("zone-add").addEventListener("click", () => zone.add());
byId("zone-save").addEventListener("click", async () => {
  const saved = await send("api/settings", { changes: { "people.zone": zone.corners } });
  if (saved) editZone(false);
});
byId("zone-cancel").addEventListener("click", () => {
  editZone(false);
  showSettings().catch(console.warn);
});
byId("zone-remove").addEventListener("click", async () => {
  const saved = await send("api/settings", { changes: { "people.zone": [] } });
  if (saved) {
    zone.show([]);
    editZone(false);
  }
});
byId("mute-short").addEventListener("click", () => send("api/control", { do: "mute", seconds: SHORT_MUTE }));
byId("mute-long").addEventListener("click", () => send("api/control", { do: "mute", seconds: LONG_MUTE }));
byId("unmute").addEventListener("click", () => send("api/control", { do: "unmute" }));
byId("restart").addEventListener("click", () => confirm(say("restart.confirm")) && send("api/control", { do: "restart" }));
byId("settings").addEventListener("submit", (event) => event.preventDefault());
addEventListener("resize", () => zone.draw());
byId("preview").addEventListener("load", () => zone.corners.forEach((_, index) => zone.place(index)));
stream.addEventListener("happened", (event) => {
  if (JSON.parse(event.data).event === "operator") showOthers().catch(console.warn);
});
showSettings().catch(console.warn);
setInterval(askAim, AIM_EVERY);
