// Charts in SVG, drawn in pixels of the screen: a line that shows a trend, lines
// over time, and the candles of a market. They use the elements they have again.

import { attr, attrs, h, keyed, s, text } from "./dom.js";
import { clock, minute, scaled, short } from "./format.js";

// widths are how wide charts are to be drawn: what their elements have on the
// screen. They are watched, so that drawing asks for no layout.
const widths = new WeakMap();
const watcher = new ResizeObserver((entries) => {
  for (const e of entries) {
    const w = Math.floor(e.contentRect.width);
    if (w > 0 && widths.get(e.target) !== w) {
      widths.set(e.target, w);
      e.target.redraw?.();
    }
  }
});

function sized(node, redraw) {
  node.redraw = redraw;
  watcher.observe(node);
  return node;
}

const widthOf = (node, absent) => widths.get(node) ?? absent;

// round1 keeps attributes short.
const round1 = (n) => Math.round(n * 10) / 10;

// path joins points; a gap in y begins a new line.
function path(points) {
  let d = "", pen = "M";
  for (const [x, y] of points) {
    if (y === null) {
      pen = "M";
      continue;
    }
    d += `${pen}${round1(x)} ${round1(y)}`;
    pen = "L";
  }
  return d;
}

// spark is a small line without axes. update(values) takes numbers, null for not
// known; the greatest of them, and 1 at least, is the top.
export function spark({ height = 24, slots = 120 } = {}) {
  const area = s("path", { class: "spark-area" });
  const line = s("path", { class: "spark-line" });
  const dot = s("circle", { class: "spark-dot", r: 1.8 });
  const svg = s("svg", { class: "spark", height, role: "img" }, area, line, dot);
  const node = h("span", { class: "spark-box" }, svg);
  let list = [];

  function draw() {
    const width = widthOf(node, 120);
    attrs(svg, { width, viewBox: `0 0 ${width} ${height}` });
    const room = Math.max(30, list.length); // half a minute at least
    const top = Math.max(1, ...list.filter((v) => v !== null));
    const x = (i) => width - 3 - ((list.length - 1 - i) * (width - 5)) / (room - 1);
    const y = (v) => height - 2 - (v / top) * (height - 5);
    const points = list.map((v, i) => [x(i), v === null ? null : y(v)]);
    const known = points.filter(([, py]) => py !== null);
    attr(line, "d", path(points));
    attr(area, "d", known.length > 1 ? `${path(known)}L${round1(known.at(-1)[0])} ${height - 1}L${round1(known[0][0])} ${height - 1}Z` : "");
    const last = points.at(-1);
    attrs(dot, last && last[1] !== null ? { cx: round1(last[0]), cy: round1(last[1]), visibility: "visible" } : { visibility: "hidden" });
  }
  sized(node, draw);
  return {
    node,
    update(values, label) {
      list = values.slice(-slots);
      attr(svg, "aria-label", label);
      draw();
    },
  };
}

// lines is a chart of series over seconds. update({since, until, series, unit})
// takes for each series its name, class and points [second, value or null].
export function lines({ height = 150, label }) {
  const left = 8, right = 48, top = 10, bottom = 18;
  const grid = s("g", { class: "chart-grid" });
  const marks = s("g");
  const svg = s("svg", { class: "chart", height, role: "img" }, grid, marks);
  const legend = h("div", { class: "legend" });
  const node = h("figure", { class: "figure" }, h("figcaption", {}, h("span", { class: "figure-title" }, label), legend), svg);
  let last = null;

  function draw() {
    if (!last) return;
    const { since, until, series } = last;
    const width = widthOf(node, 600);
    attrs(svg, { width, viewBox: `0 0 ${width} ${height}` });
    const values = series.flatMap((line) => line.points.map(([, v]) => v)).filter((v) => v !== null);
    const ceiling = nice(Math.max(2, ...values), [1, 2, 4, 6, 8]); // half of it is a whole number
    const x = (t) => left + ((t - since) / Math.max(1, until - since)) * (width - left - right);
    const y = (v) => height - bottom - (v / ceiling) * (height - top - bottom);
    const rows = [0, ceiling / 2, ceiling].map((v) => ({ key: "y" + v, y: y(v), v }));
    const every = [30, 60, 120, 300, 600].find((step) => (until - since) / step <= width / 90) ?? 600;
    const columns = [];
    for (let t = Math.ceil(since / every) * every; t <= until; t += every) {
      if (x(t) > left + 14 && x(t) < width - right - 10) columns.push({ key: "x" + t, t });
    }
    keyed(grid, [...rows, ...columns], (i) => i.key, () => s("g", {}, s("line"), s("text")), (g, i) => {
      const [line, mark] = g.children;
      if (i.t === undefined) {
        attrs(line, { x1: left, x2: width - right, y1: round1(i.y), y2: round1(i.y) });
        attrs(mark, { x: width - right + 6, y: round1(i.y) + 4, "text-anchor": "start" });
        text(mark, short(i.v));
      } else {
        attrs(line, { x1: round1(x(i.t)), x2: round1(x(i.t)), y1: height - bottom, y2: height - bottom + 3 });
        attrs(mark, { x: round1(x(i.t)), y: height - 4, "text-anchor": "middle" });
        text(mark, every < 60 ? clock(i.t * 1000) : minute(i.t * 1000));
      }
    });
    keyed(marks, series, (line) => line.name, (line) => s("path", { class: "chart-line " + line.class }), (p, line) => {
      attr(p, "d", path(line.points.map(([t, v]) => [x(t), v === null ? null : y(v)])));
    });
    keyed(legend, series, (line) => line.name, (line) => h("span", { class: "legend-item " + line.class }, h("i"), h("span"), h("b")), (item, line) => {
      text(item.children[1], line.name);
      text(item.children[2], line.says);
    });
    attr(svg, "aria-label", `${label}: ${series.map((line) => `${line.name} ${line.says}`).join(", ")}`);
  }
  sized(node, draw);
  return {
    node,
    update(data) {
      last = data;
      draw();
    },
  };
}

// nice is the least round number that is not below n; it begins with one of these
// digits.
function nice(n, digits) {
  const power = 10 ** Math.floor(Math.log10(n));
  return digits.map((m) => m * power).find((v) => v >= n) ?? 10 * power;
}

// ticks are the round integers from low to high that are to be marked: two to
// five.
function ticks(low, high) {
  const step = Math.max(1, nice((high - low) / 4, [1, 2, 5]));
  const first = Math.ceil(low / step);
  return [0, 1, 2, 3, 4].map((i) => (first + i) * step).filter((v) => v <= high);
}

// candles is the chart of a market: a candle for each window with the mean as a
// line, and the volume as bars below. Each candle carries its numbers as data
// attributes, as they are in the store.
export function candles({ height = 190, label, onpick }) {
  const right = 46, top = 8, bottom = 18, gap = 8;
  const grid = s("g", { class: "chart-grid" });
  const bodies = s("g");
  const mean = s("path", { class: "chart-mean" });
  const cursor = s("line", { class: "chart-cursor", visibility: "hidden" });
  const svg = s("svg", {
    class: "chart candles", height, role: "application", "aria-roledescription": "chart; the arrow keys go from window to window", tabindex: "0",
    pointermove: (e) => pick(at(e.offsetX)), pointerleave: () => pick(null), blur: () => pick(null),
    keydown: (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!step || !last) return;
      e.preventDefault();
      const list = last.windows;
      const now = picked === null ? list.length : list.findIndex((w) => w.start === picked);
      const next = list[Math.min(list.length - 1, Math.max(0, now + step))];
      if (next) pick(next);
    },
  }, grid, bodies, mean, cursor);
  const node = h("div", { class: "chart-box" }, svg);
  let last = null, picked = null, geometry = null;

  function at(px) {
    if (!last || !geometry) return null;
    const slot = Math.round((px - geometry.first) / geometry.step);
    return last.windows.find((w) => geometry.slotOf(w) === slot) ?? null;
  }

  function pick(w) {
    picked = w?.start ?? null;
    if (w && geometry) {
      const x = geometry.x(w);
      attrs(cursor, { x1: x, x2: x, y1: top, y2: height - bottom, visibility: "visible" });
    } else attr(cursor, "visibility", "hidden");
    onpick?.(w);
  }

  function draw() {
    if (!last) return;
    const { windows, size, decimals } = last;
    const width = widthOf(node, 360);
    attrs(svg, { width, viewBox: `0 0 ${width} ${height}` });
    const priced = windows.filter((w) => w.high !== null && w.low !== null);
    let low = Math.min(...priced.map((w) => w.low)), high = Math.max(...priced.map((w) => w.high));
    if (priced.length === 0) [low, high] = [0, 1];
    const room = Math.max(1, Math.abs(low) * 1e-9); // beyond 2^53 one more is the same number
    if (high - low < room) [low, high] = [low - room, high + room];
    const volumeHeight = Math.round((height - top - bottom) * 0.24);
    const priceBottom = height - bottom - volumeHeight - gap;
    const y = (v) => priceBottom - ((v - low) / (high - low)) * (priceBottom - top);
    const most = Math.max(1, ...windows.map((w) => w.volume ?? 0));
    const step = (width - right) / last.slots;
    const firstSlot = last.until - (last.slots - 1) * size;
    const slotOf = (w) => Math.round((w.start - firstSlot) / size);
    const x = (w) => round1((slotOf(w) + 0.5) * step);
    geometry = { first: step / 2, step, slotOf, x };
    const body = Math.max(1, Math.min(13, Math.floor(step * 0.62)));

    const prices = priced.length === 0 ? [] : ticks(low, high).map((v) => ({ key: "y" + v, y: y(v), says: scaled(v, decimals.price) }));
    const every = [1, 2, 5, 10, 15, 20, 30, 60].find((n) => n * step >= 60) ?? 60; // slots
    const times = [];
    for (let i = 0; i < last.slots; i++) {
      const start = firstSlot + i * size;
      const px = (i + 0.5) * step;
      if (Math.round(start / size) % every === 0 && px > 16 && px < width - right) {
        times.push({ key: "x" + start, x: px, says: size < 60_000 ? clock(start) : minute(start) });
      }
    }
    keyed(grid, [...prices, ...times], (t) => t.key, () => s("g", {}, s("line"), s("text")), (g, t) => {
      const [line, mark] = g.children;
      if (t.y !== undefined) {
        attrs(line, { x1: 0, x2: width - right + 2, y1: round1(t.y), y2: round1(t.y) });
        attrs(mark, { x: width - right + 7, y: round1(t.y) + 4, "text-anchor": "start" });
      } else {
        attrs(line, { x1: round1(t.x), x2: round1(t.x), y1: height - bottom, y2: height - bottom + 3 });
        attrs(mark, { x: round1(t.x), y: height - 4, "text-anchor": "middle" });
      }
      text(mark, t.says);
    });

    keyed(bodies, windows, (w) => w.start, () => s("g", { class: "candle" }, s("title"), s("rect", { class: "volume" }), s("line", { class: "wick" }), s("rect", { class: "body" })), (g, w) => {
      const [title, volume, wick, box] = g.children;
      const cx = x(w);
      const up = w.close >= w.open;
      attr(g, "class", up ? "candle up" : "candle down");
      attrs(g, {
        "data-start": w.start, "data-open": w.open, "data-high": w.high, "data-low": w.low, "data-close": w.close,
        "data-vwap": w.mean, "data-volume": w.volume, "data-trades": w.trades,
      });
      text(title, last.tell(w));
      const vh = ((w.volume ?? 0) / most) * volumeHeight;
      attrs(volume, { x: round1(cx - body / 2), width: body, y: round1(height - bottom - vh), height: round1(Math.max(w.volume ? 0.5 : 0, vh)) });
      if (w.high === null || w.low === null) {
        attrs(wick, { visibility: "hidden" });
        attrs(box, { visibility: "hidden" });
        return;
      }
      attrs(wick, { x1: cx, x2: cx, y1: round1(y(w.high)), y2: round1(y(w.low)), visibility: "visible" });
      const [from, to] = up ? [w.close, w.open] : [w.open, w.close];
      attrs(box, { x: round1(cx - body / 2), width: body, y: round1(y(from)), height: round1(Math.max(1, y(to) - y(from))), visibility: w.open === null ? "hidden" : "visible" });
    });
    attr(mean, "d", path(windows.map((w) => [x(w), w.mean === null ? null : y(Math.min(high, Math.max(low, w.mean)))])));
    attr(svg, "aria-label", `${label}: ${windows.length > 0 ? last.tell(windows.at(-1)) : "no windows of this key"}`);
    if (picked !== null) pick(windows.find((w) => w.start === picked) ?? null);
  }
  sized(node, draw);
  return {
    node,
    update(data) {
      last = data;
      draw();
    },
  };
}
