"use strict";
// Draws what lies in the visible part of the virtual time, and no more: however long a run is, the page stays quick.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const svg = byId("drawing"), view = byId("view"), map = byId("map"), tip = byId("tip");

  const GUTTER = 92, HEAD = 34, MIN_COLUMN = 58, MAX_DRAWN = 3000, LABELLED = 220;
  const COLOURS = { append: "#0072b2", repair: "#d98200", agreement: "#009e73", read: "#b0568a", client: "#4aa3d8" };
  const ABOUT = {
    append: "append, acknowledge", repair: "repair", agreement: "closing, report, sealed", read: "reading",
    client: "clients",
  };
  // Shapes of marks, each around 0,0.
  const SHAPES = {
    stored: ["stored acks", '<circle r="3.2" fill="#0072b2"/>'],
    sealed: ["sealed acks", '<path d="M0-4.6L4.6 0 0 4.6-4.6 0Z" fill="#009e73"/>'],
    seal: ["seals on chain", '<path d="M0-6L1.8-1.9 6-1.9 2.6 1 3.8 5.4 0 2.8-3.8 5.4-2.6 1-6-1.9-1.8-1.9Z" fill="#009e73"/>'],
    adopted: ["seals adopted", '<path d="M-3.2-3.2H3.2V3.2H-3.2Z" fill="#fff" stroke="#009e73" stroke-width="1.5"/>'],
    submit: ["transactions", '<path d="M0-4.6L4.6 0 0 4.6-4.6 0Z" fill="#fff" stroke="#8250df" stroke-width="1.4"/>'],
    fact: ["seats, brokers", '<circle r="3.4" fill="#fff" stroke="#8250df" stroke-width="1.6"/>'],
    start: ["starts", '<path d="M-4.5 4L0-5 4.5 4Z" fill="#1a7f37"/>'],
    crash: ["crashes", '<path d="M-5-5L5 5M5-5L-5 5" stroke="#b3261e" stroke-width="2.6"/>'],
    missed: ["found nobody", '<path d="M-3-3L3 3M3-3L-3 3" stroke="#8a8f98" stroke-width="1.4"/>'],
    alarm: ["alarms, refusals", '<path d="M0-5.5L5.5 4.5-5.5 4.5Z" fill="#e69f00" stroke="#7a4b00" stroke-width=".8"/>'],
    disk: ["writes on disk", '<path d="M-5 0H5" stroke="#8a8f98" stroke-width="1.6"/>'],
    violation: ["violated", '<circle r="7" fill="none" stroke="#b3261e" stroke-width="3"/><circle r="2.4" fill="#b3261e"/>'],
  };
  const LINES = { block: ["blocks", "#d3d9e0"], heal: ["heal", "#1a7f37"], violation: ["violated", "#b3261e"] };
  const hidden = new Set(["disk", "block"]);

  const end = Math.max(data.end, 1);
  const times = data.arrows.map((a) => a[2]).concat(data.marks.map((m) => m[1]), data.lines.map((l) => l[0]));
  const begin = times.reduce((least, t) => Math.min(least, t), end);
  const whole = Math.max(end - begin, 1000);
  let top = begin, span = whole, wanted = "", width = 0, height = 0, column = MIN_COLUMN, drawn = null, notice = "";

  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => "&#" + c.charCodeAt(0) + ";");
  const seconds = (us, digits) => (us / 1e6).toFixed(digits === undefined ? 6 : digits) + " s";
  const x = (c) => GUTTER + column * (c + 0.5);
  const y = (t) => HEAD + (t - top) / span * (height - HEAD);
  const timeAt = (py) => top + (py - HEAD) / (height - HEAD) * span;

  function clamp() {
    span = Math.min(Math.max(span, 400), whole * 1.1);
    top = Math.min(Math.max(top, begin - span * 0.3), end - span * 0.5);
  }

  function nice(least) {
    const power = Math.pow(10, Math.floor(Math.log10(least)));
    return [1, 2, 5, 10].map((f) => f * power).find((step) => step >= least);
  }

  function grid(parts, bottom) {
    const step = nice(span / 12), digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(step))));
    for (let t = Math.ceil(top / step) * step; t <= bottom; t += step) {
      const at = y(t).toFixed(1);
      parts.push(`<line x1="${GUTTER - 5}" x2="${width}" y1="${at}" y2="${at}" stroke="#f0f2f5"/>`);
      if (at > HEAD + 6) {
        parts.push(`<text class="tick" x="${GUTTER - 9}" y="${+at + 4}">${seconds(t, digits)}</text>`);
      }
    }
  }

  function lasting(parts, bottom) {
    for (const [c, from, to, kind, text] of data.spans) {
      if (from > bottom || to < top) continue;
      const y0 = Math.max(y(from), HEAD - 2), y1 = Math.min(y(to), height + 2), h = Math.max(y1 - y0, 2).toFixed(1);
      const half = kind === "down" ? 9 : 13;
      const look = kind === "down" ? 'fill="#c9ced6"' : 'fill="#fde2e0" stroke="#e5918a" stroke-dasharray="3 2"';
      parts.push(`<rect x="${x(c) - half}" width="${2 * half}" y="${y0.toFixed(1)}" height="${h}" ${look}/>`);
      drawn.push({ kind: "span", x0: x(c) - half, x1: x(c) + half, y0, y1, text: data.columns[c].name + ": " + data.texts[text], t0: from, t1: to });
    }
  }

  function lifelines(parts) {
    data.columns.forEach((who, c) => {
      const colour = who.kind === "chain" ? "#8250df" : who.kind === "client" ? "#9ec9e6" : "#9aa4af";
      parts.push(`<line x1="${x(c)}" x2="${x(c)}" y1="${HEAD}" y2="${height}" stroke="${colour}"/>`);
    });
  }

  function across(parts, bottom) {
    const lines = data.lines.filter(([t, kind]) => t >= top && t <= bottom && !hidden.has(kind));
    for (const [t, kind, text] of lines) {
      const at = y(t), colour = LINES[kind][1], strong = kind !== "block";
      const dash = strong ? 'stroke-width="1.6" stroke-dasharray="7 3"' : 'stroke-dasharray="2 3"';
      parts.push(`<line x1="${GUTTER - 5}" x2="${width}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="${colour}" ${dash}/>`);
      drawn.push({ kind: "line", y: at, text: data.texts[text], t0: t, strong, colour });
    }
  }

  // Above everything else: what does not hold, and from when on nothing goes wrong.
  function headlines(parts) {
    let last = -99;
    if (notice) {
      parts.push(`<rect x="${GUTTER + 6}" y="${height - 26}" width="${notice.length * 6.2 + 12}" height="20" rx="4" fill="#fff8e1" stroke="#e5c365"/>`);
      parts.push(`<text x="${GUTTER + 12}" y="${height - 12}">${notice}</text>`);
    }
    for (const item of drawn.filter((item) => item.kind === "line" && item.strong)) {
      if (item.y - last < 13 || item.y < HEAD + 14) continue;
      last = item.y;
      const look = `style="text-anchor:start;font-weight:600;fill:${item.colour}"`;
      parts.push(`<text class="label" x="${GUTTER + 4}" y="${(item.y - 5).toFixed(1)}" ${look}>${escape(item.text.slice(0, 170))}</text>`);
    }
  }

  function messages(parts, bottom) {
    const shown = data.arrows.filter(([, , t0, t1, kind]) => t0 <= bottom && (t1 === null ? t0 : t1) >= top && !hidden.has(kind));
    const every = Math.max(1, Math.ceil(shown.length / MAX_DRAWN)), taken = new Set();
    // Where there are many, how dark it is says how many.
    const alpha = Math.min(0.85, Math.max(0.1, 500 * every / Math.max(shown.length, 1))), crowded = shown.length > 1200;
    shown.forEach(([from, to, t0, t1, kind, text], nth) => {
      if (nth % every) return;
      const name = data.texts[text], dim = wanted && !name.toLowerCase().includes(wanted);
      const lost = t1 === null, x0 = x(from), y0 = y(t0);
      const x1 = lost ? x0 + (x(to) - x0) * 0.35 : x(to), y1 = lost ? y0 + 9 : y(t1);
      const look = `stroke="${COLOURS[kind]}" stroke-width="${wanted && !dim ? 2 : 1.1}" opacity="${dim ? 0.06 : wanted ? 0.9 : alpha}"`;
      const line = `x1="${x0}" y1="${y0.toFixed(1)}" x2="${x1.toFixed(1)}" y2="${y1.toFixed(1)}"`;
      parts.push(`<line ${line} ${look} ${lost ? 'stroke-dasharray="4 2"' : crowded ? "" : `marker-end="url(#head-${kind})"`}/>`);
      if (lost) {
        parts.push(`<path transform="translate(${x1.toFixed(1)} ${y1.toFixed(1)})" d="M-3-3L3 3M3-3L-3 3" stroke="#b3261e" stroke-width="1.6" opacity="${dim ? 0.1 : 1}"/>`);
      }
      const item = { kind: "arrow", x0, y0, x1, y1, text: name, from, to, t0, t1, lost };
      drawn.push(item);
      if (shown.length <= LABELLED && !dim) label(parts, item, taken);
    });
    notice = every > 1 ? `${Math.ceil(shown.length / every)} of ${shown.length} messages drawn: zoom in to see each` : "";
  }

  // A short name at the arrow's middle, where there is room.
  function label(parts, { x0, y0, x1, y1, text }, taken) {
    const space = Math.abs(x1 - x0) - 10, words = text.split(/[:#(]/)[0].trim();
    const fits = words.length * 6 <= space ? words : words.split(" ")[0].length * 6 <= space ? words.split(" ")[0] : "";
    const cx = (x0 + x1) / 2, cy = (y0 + y1) / 2 - 3;
    if (!fits || cy < HEAD + 8) return;
    const cells = [], row = Math.round(cy / 6), half = fits.length * 3 + 4;
    for (let r = row - 1; r <= row + 1; r += 1) {
      for (let c = Math.floor((cx - half) / 12); c <= Math.floor((cx + half) / 12); c += 1) cells.push(r * 10000 + c);
    }
    if (cells.some((cell) => taken.has(cell))) return;
    cells.forEach((cell) => taken.add(cell));
    parts.push(`<text class="label" x="${cx.toFixed(1)}" y="${cy.toFixed(1)}">${escape(fits)}</text>`);
  }

  function points(parts, bottom) {
    for (const [c, t, kind, text] of data.marks) {
      if (t < top || t > bottom || hidden.has(kind)) continue;
      const name = data.texts[text], dim = wanted && !name.toLowerCase().includes(wanted) ? ' opacity="0.15"' : "";
      parts.push(`<g transform="translate(${x(c)} ${y(t).toFixed(1)})"${dim}>${SHAPES[kind][1]}</g>`);
      drawn.push({ kind: "mark", x: x(c), y: y(t), text: data.columns[c].name + ": " + name, t0: t });
    }
  }

  function names(parts) {
    parts.push(`<rect x="0" y="0" width="${width}" height="${HEAD}" fill="#fff"/><line x1="0" x2="${width}" y1="${HEAD}" y2="${HEAD}" stroke="#d0d7de"/>`);
    data.columns.forEach((who, c) => {
      const [kind, number] = who.name.split(":");
      const words = number === undefined ? [kind] : [kind, number];
      words.forEach((word, nth) => parts.push(`<text class="name" x="${x(c)}" y="${words.length > 1 ? 14 + 13 * nth : 20}">${escape(word)}</text>`));
    });
  }

  function heads() {
    const one = ([kind, colour]) => `<marker id="head-${kind}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 .8L8 4 0 7.2Z" fill="${colour}"/></marker>`;
    return "<defs>" + Object.entries(COLOURS).map(one).join("") + "</defs>";
  }

  function draw() {
    clamp();
    height = Math.max(view.clientHeight, 120);
    column = Math.max(MIN_COLUMN, (view.clientWidth - GUTTER - 10) / Math.max(data.columns.length, 1));
    width = GUTTER + column * data.columns.length + 10;
    const bottom = top + span, parts = [heads()];
    drawn = [];
    grid(parts, bottom);
    lasting(parts, bottom);
    lifelines(parts);
    across(parts, bottom);
    messages(parts, bottom);
    points(parts, bottom);
    headlines(parts);
    names(parts);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.innerHTML = parts.join("");
    overview();
  }

  function overview() {
    const h = map.clientHeight, ratio = window.devicePixelRatio || 1, pen = map.getContext("2d");
    map.width = 64 * ratio;
    map.height = h * ratio;
    pen.scale(ratio, ratio);
    const at = (t) => (t - begin) / whole * h, counts = new Array(Math.ceil(h / 2) + 1).fill(0);
    for (const a of data.arrows) counts[Math.max(0, Math.floor(at(a[2]) / 2))] += 1;
    const most = Math.max(...counts, 1);
    pen.fillStyle = "#b9d3e6";
    counts.forEach((count, n) => pen.fillRect(0, n * 2, 62 * Math.sqrt(count / most), 2));
    for (const [, from, to, kind] of data.spans) {
      pen.fillStyle = kind === "down" ? "#8a8f98" : "#e5918a";
      pen.fillRect(kind === "down" ? 52 : 44, at(from), 6, Math.max(at(to) - at(from), 2));
    }
    for (const [t, kind] of data.lines) {
      if (kind === "block") continue;
      pen.fillStyle = LINES[kind][1];
      pen.fillRect(0, at(t) - 1, 64, 2);
    }
    pen.strokeStyle = "#1b1f24";
    pen.strokeRect(0.5, at(top) + 0.5, 63, Math.max(span / whole * h, 3));
  }

  function zoom(factor, py) {
    const pivot = timeAt(py);
    span *= factor;
    clamp();
    top = pivot - (py - HEAD) / (height - HEAD) * span;
    draw();
  }

  function distance(px, py, { x0, y0, x1, y1 }) {
    const dx = x1 - x0, dy = y1 - y0, along = dx * dx + dy * dy;
    const f = along ? Math.min(1, Math.max(0, ((px - x0) * dx + (py - y0) * dy) / along)) : 0;
    return Math.hypot(px - x0 - f * dx, py - y0 - f * dy);
  }

  function nearest(px, py) {
    let best = null, least = 7;
    for (const item of drawn) {
      let d = 99;
      if (item.kind === "mark") d = Math.hypot(px - item.x, py - item.y) - 4;
      else if (item.kind === "arrow") d = distance(px, py, item);
      else if (item.kind === "line") d = Math.abs(py - item.y) + 3;
      else if (px >= item.x0 && px <= item.x1 && py >= item.y0 && py <= item.y1) d = 6.5;
      if (d < least) { least = d; best = item; }
    }
    return best;
  }

  function describe(item) {
    const name = (c) => escape(data.columns[c].name);
    let when = seconds(item.t0);
    if (item.kind === "arrow") {
      const fate = item.lost ? "lost" : item.t1 > item.t0 ? `arrives ${seconds(item.t1)} (${((item.t1 - item.t0) / 1000).toFixed(1)} ms)` : "";
      when = `${name(item.from)} → ${name(item.to)}, ${when} ${fate}`;
    } else if (item.t1 !== undefined) when = `${when} to ${seconds(item.t1)}`;
    return `${escape(item.text)}<br><small>${when}</small>`;
  }

  function hover(event) {
    const box = svg.getBoundingClientRect();
    const item = event.clientY - box.top > HEAD ? nearest(event.clientX - box.left, event.clientY - box.top) : null;
    tip.hidden = !item;
    if (!item) return;
    tip.innerHTML = describe(item);
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 16 + tip.offsetHeight > innerHeight;
    tip.style.left = left + "px";
    tip.style.top = (below ? event.clientY - tip.offsetHeight - 10 : event.clientY + 16) + "px";
  }

  // Shows a moment: what led to it above, a little of what came after below.
  function go(t) {
    const before = data.arrows.filter((a) => a[2] < t);
    const since = before.length ? before[Math.max(0, before.length - 90)][2] : t - 1e6;
    span = Math.max((t - since) * 1.15, 20000);
    top = t - span * 0.86;
    draw();
  }

  function legend() {
    const counted = (kind, list, at) => list.reduce((sum, item) => sum + (item[at] === kind ? 1 : 0), 0);
    const add = (kind, words, picture, count) => {
      if (!count) return;
      const item = document.createElement("label"), box = document.createElement("input"), name = document.createElement("span");
      box.type = "checkbox";
      box.checked = !hidden.has(kind);
      item.className = box.checked ? "" : "off";
      name.innerHTML = `<svg width="16" height="14" viewBox="-8 -7 16 14">${picture}</svg>${words} ${count}`;
      box.onchange = () => {
        if (box.checked) hidden.delete(kind); else hidden.add(kind);
        item.className = box.checked ? "" : "off";
        draw();
      };
      item.append(box, name);
      byId("legend").append(item);
    };
    for (const kind of Object.keys(COLOURS)) add(kind, ABOUT[kind], `<path d="M-7 0H6M3-3L7 0 3 3" fill="none" stroke="${COLOURS[kind]}" stroke-width="1.6"/>`, counted(kind, data.arrows, 4));
    for (const kind of Object.keys(SHAPES)) add(kind, SHAPES[kind][0], SHAPES[kind][1], counted(kind, data.marks, 2));
    add("block", LINES.block[0], '<path d="M-8 0H8" stroke="#8a8f98" stroke-dasharray="2 2"/>', counted("block", data.lines, 1));
  }

  function header() {
    byId("title").textContent = data.title;
    const verdict = byId("verdict"), first = data.violations[0];
    verdict.innerHTML = first
      ? `<span class="broken">${escape(first[1])} does not hold</span> <code>digest ${data.digest}</code>`
      : `<span class="held">all held</span> <code>digest ${data.digest}</code>`;
    if (first) {
      const list = document.createElement("ul");
      for (const [t, oracle, what] of data.violations) {
        const item = document.createElement("li");
        item.textContent = `${seconds(t)}, ${oracle}: ${what}`;
        item.onclick = () => go(t);
        list.append(item);
      }
      if (data.more_violations) {
        const more = document.createElement("li");
        more.textContent = `and ${data.more_violations} more`;
        list.append(more);
      }
      verdict.append(list);
    }
    byId("jump").hidden = !shows(first);
    byId("notes").textContent = data.notes.join(" ");
  }

  // Whether a violation lies in the part of the run that the page has.
  function shows(violation) {
    return violation !== undefined && violation[0] >= begin && violation[0] <= end;
  }

  function drag(down) {
    let last = down.clientY;
    view.classList.add("held");
    const move = (event) => {
      top -= (event.clientY - last) / (height - HEAD) * span;
      view.scrollLeft -= event.movementX;
      last = event.clientY;
      draw();
    };
    const up = () => {
      view.classList.remove("held");
      removeEventListener("mousemove", move);
      removeEventListener("mouseup", up);
    };
    addEventListener("mousemove", move);
    addEventListener("mouseup", up);
  }

  function seek(event) {
    const box = map.getBoundingClientRect();
    top = begin + (event.clientY - box.top) / box.height * whole - span / 2;
    draw();
  }

  function listen() {
    view.addEventListener("wheel", (event) => {
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.altKey) {
        zoom(Math.exp(event.deltaY / 400), event.clientY - svg.getBoundingClientRect().top);
      } else {
        top += event.deltaY / (height - HEAD) * span;
        draw();
      }
    }, { passive: false });
    view.addEventListener("mousemove", hover);
    view.addEventListener("mouseleave", () => { tip.hidden = true; });
    view.addEventListener("mousedown", drag);
    map.addEventListener("mousedown", seek);
    map.addEventListener("mousemove", (event) => { if (event.buttons) seek(event); });
    byId("zoom-in").onclick = () => zoom(0.6, height / 2);
    byId("zoom-out").onclick = () => zoom(1.7, height / 2);
    byId("all").onclick = () => { top = begin; span = whole * 1.02; draw(); };
    byId("jump").onclick = () => go(data.violations[0][0]);
    byId("search").oninput = (event) => { wanted = event.target.value.trim().toLowerCase(); draw(); };
    addEventListener("resize", draw);
    addEventListener("keydown", (event) => {
      if (event.target.tagName === "INPUT") return;
      const moves = { ArrowDown: 0.1, ArrowUp: -0.1, PageDown: 0.8, PageUp: -0.8 };
      if (event.key in moves) { top += moves[event.key] * span; draw(); }
      else if (event.key === "+" || event.key === "=") zoom(0.7, height / 2);
      else if (event.key === "-") zoom(1.4, height / 2);
      else if (event.key === "Home") { top = begin; draw(); }
      else if (event.key === "End") { top = end - span * 0.9; draw(); }
      else return;
      event.preventDefault();
    });
  }

  header();
  legend();
  listen();
  // Begins where it is interesting: at the violation, or with the first messages.
  if (shows(data.violations[0])) go(data.violations[0][0]);
  else if (data.arrows.length) {
    const some = data.arrows[Math.min(150, data.arrows.length - 1)][2];
    top = begin;
    span = Math.max(some - begin, 20000);
    draw();
  } else draw();
}());
