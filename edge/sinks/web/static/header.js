"use strict";
/* The head of a page for operators: the door's own clock, links in the language that was chosen, other languages. */

const FOLLOWED = document.body.dataset.follows === "status" ? `status=${document.documentElement.lang}` : "calm";
const stream = new EventSource(`events?${FOLLOWED}`);

/* A page that is older than maskgate loads itself again; one whose words changed, too, unless somebody may be writing. */
stream.addEventListener("state", (event) => {
  const whole = document.body.dataset.reloads === "version" ? (release) => release.split(".")[0] : (release) => release;
  if (whole(JSON.parse(event.data).release) === whole(document.body.dataset.release)) return;
  stream.close();
  location.reload();
});

/* In milliseconds. The server sends a status every four seconds; one that is late is asked for. */
const STATUS = { first: 3000, late: 6000, again: 4000, soon: 300, answer: 5000 };

/* Show every status that the stream brings; ask for it where the stream is refused or silent, and fail where nobody answers.
   Returns what asks for it now. */
function follow(show, fail) {
  let timer = 0;
  const later = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  };
  async function ask() {
    clearTimeout(timer);
    try {
      const address = `api/status?lang=${document.documentElement.lang}`;
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(STATUS.answer) });
      if (answer.status === 401) location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.json());
      later(STATUS.late);
    } catch (error) {
      console.warn(error);
      fail();
      later(STATUS.again);
    }
  }
  stream.addEventListener("status", (event) => {
    later(STATUS.late);
    show(JSON.parse(event.data));
  });
  stream.addEventListener("bye", ask);
  stream.addEventListener("error", () => later(STATUS.soon));
  later(STATUS.first);
  return ask;
}

{
  const bar = document.getElementById("bar");
  const chosen = new URLSearchParams(location.search).get("lang");

  const show = () => {
    const [date, time] = [{ weekday: "short", day: "numeric", month: "short" }, { hour: "2-digit", minute: "2-digit" }];
    const format = { ...date, ...time, hourCycle: "h23", timeZone: "UTC" };
    const now = Date.parse(bar.dataset.now) + performance.now() - loaded;
    const local = new Date(now + Number(bar.dataset.offset) * 60000);
    const clock = document.getElementById("clock");
    clock.textContent = new Intl.DateTimeFormat(document.documentElement.lang, format).format(local);
    clock.dateTime = new Date(now).toISOString();
  };
  const loaded = performance.now();
  show();
  setInterval(show, 1000);

  for (const [code, name] of JSON.parse(bar.dataset.languages)) {
    const address = new URL(location.href);
    address.searchParams.set("lang", code);
    const link = document.createElement("a");
    link.href = address.pathname + address.search;
    link.lang = link.hreflang = code;
    link.textContent = name;
    document.getElementById("languages").append(link);
  }
  for (const link of document.querySelectorAll("#pages a")) {
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
  }
  if (chosen) {
    const keep = (address) => {
      const url = new URL(address);
      url.searchParams.set("lang", chosen);
      return url.href;
    };
    for (const link of document.querySelectorAll("nav a, a.kept")) link.href = keep(link.href);
    const form = document.getElementById("signout");
    form.action = keep(form.action);
  }
}
