"use strict";
/* The zone on the camera's picture: a polygon whose corners are moved by mouse, finger or keyboard.
   Corners are fractions of the picture, x to the right, y down, as in people.zone. */

const ZONE_UNITS = 1000; // of the drawing's own width and height
const ZONE_STEP = 0.01; // of an arrow key, as a share of the picture; five times that with Shift
const ZONE_REACH = { corner: 22, dot: 13 }; // pixels: what a finger hits, and what is drawn
const ZONE_CORNERS = 64; // the most that the setting takes
const ZONE_SVG = "http://www.w3.org/2000/svg";

class Zone {
  constructor(svg, say) {
    this.svg = svg;
    this.say = say;
    this.corners = [];
    this.editing = false;
  }

  show(corners) {
    this.corners = corners.map(([x, y]) => [x, y]);
    this.draw();
  }

  edit() {
    this.editing = true;
    if (this.corners.length < 3) this.corners = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]];
    this.draw();
    this.svg.querySelector(".corner")?.focus();
  }

  end() {
    this.editing = false;
    this.draw();
  }

  /* A corner in the middle of the longest side. */
  add() {
    if (this.corners.length >= ZONE_CORNERS) return;
    const length = (index) => {
      const [[ax, ay], [bx, by]] = [this.corners[index], this.corners[(index + 1) % this.corners.length]];
      return Math.hypot(ax - bx, ay - by);
    };
    const longest = this.corners.map((_, index) => index).reduce((best, index) => (length(index) > length(best) ? index : best), 0);
    const [[ax, ay], [bx, by]] = [this.corners[longest], this.corners[(longest + 1) % this.corners.length]];
    this.corners.splice(longest + 1, 0, [(ax + bx) / 2, (ay + by) / 2]);
    this.draw(longest + 1);
  }

  move(index, x, y) {
    const inside = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
    this.corners[index] = [inside(x), inside(y)];
    this.place(index);
    this.outline();
  }

  draw(focus = -1) {
    const polygon = this.made("polygon", {});
    const corners = this.editing ? this.corners.flatMap((_, index) => [this.corner(index), this.made("ellipse", { class: "dot" })]) : [];
    this.svg.replaceChildren(polygon, ...corners);
    this.outline();
    this.corners.forEach((_, index) => this.place(index));
    if (focus >= 0) this.svg.querySelectorAll(".corner")[focus]?.focus();
  }

  outline() {
    const points = this.corners.map(([x, y]) => `${x * ZONE_UNITS},${y * ZONE_UNITS}`).join(" ");
    this.svg.querySelector("polygon").setAttribute("points", points);
  }

  place(index) {
    const corner = this.svg.querySelectorAll(".corner")[index];
    if (!corner) return;
    const box = this.svg.getBoundingClientRect();
    const [x, y] = this.corners[index];
    corner.setAttribute("aria-valuetext", `${Math.round(x * 100)} %, ${Math.round(y * 100)} %`);
    for (const [drawn, reach] of [[corner, ZONE_REACH.corner], [corner.nextElementSibling, ZONE_REACH.dot]]) {
      drawn.setAttribute("cx", x * ZONE_UNITS);
      drawn.setAttribute("cy", y * ZONE_UNITS);
      drawn.setAttribute("rx", (reach * ZONE_UNITS) / Math.max(1, box.width));
      drawn.setAttribute("ry", (reach * ZONE_UNITS) / Math.max(1, box.height));
    }
  }

  corner(index) {
    const label = this.say("zone.corner", { number: index + 1 });
    const corner = this.made("ellipse", {
      class: "corner", tabindex: 0, role: "slider", "aria-label": label, "aria-valuenow": index + 1,
    });
    corner.addEventListener("pointerdown", (event) => corner.setPointerCapture(event.pointerId));
    corner.addEventListener("pointermove", (event) => {
      if (!corner.hasPointerCapture(event.pointerId)) return;
      const box = this.svg.getBoundingClientRect();
      this.move(index, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    corner.addEventListener("keydown", (event) => this.key(event, index));
    return corner;
  }

  key(event, index) {
    const step = ZONE_STEP * (event.shiftKey ? 5 : 1);
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const way = ways[event.key];
    if (way) {
      const [x, y] = this.corners[index];
      this.move(index, x + way[0], y + way[1]);
    } else if (event.key === "Delete" && this.corners.length > 3) {
      this.corners.splice(index, 1);
      this.draw(Math.max(0, index - 1));
    } else {
      return;
    }
    event.preventDefault();
  }

  made(name, attributes) {
    const made = document.createElementNS(ZONE_SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
}
