// The graph comes in one long row; here it is broken into as many rows as the window is wide for.
const strip = document.getElementById("graph");
const drawn = [...document.querySelectorAll(".box")];
const edges = [...document.querySelectorAll(".edge")].map((path) => ({
  path,
  d: path.getAttribute("d"),
  word: path.nextElementSibling?.matches(".word") ? path.nextElementSibling : null,
  from: drawn[path.dataset.a],
  to: drawn[path.dataset.b],
  size: path.getBBox(),
}));
const BETWEEN = 20; // two rows
const EDGE = 14; // of the drawing, at its left and right

// One after the other along straight lines, with round corners.
function along([first, ...points]) {
  let path = `M${first}`;
  for (const [at, [x, y]] of points.entries()) {
    const before = at ? points[at - 1] : first;
    const after = points[at + 1];
    const towards = ([a, b]) => {
      const far = Math.hypot(a - x, b - y) || 1;
      const step = Math.min(6, far / 2) / far;
      return [x + (a - x) * step, y + (b - y) * step];
    };
    path += after ? `L${towards(before)}Q${x},${y} ${towards(after)}` : `L${x},${y}`;
  }
  return path;
}

function breakRows() {
  if (!strip) return;
  const drawing = strip.firstElementChild;
  const pitch = Number(drawing.dataset.pitch);
  const tall = Number(drawing.dataset.tall);
  const wide = 150;
  const columns = Math.max(1, Math.floor((strip.clientWidth - 2 * EDGE - wide) / pitch) + 1);
  const row = (box) => Math.floor(box.dataset.c / columns);
  const tops = [];
  const bottoms = [];
  const holds = (at, top, bottom) => {
    tops[at] = Math.min(tops[at] ?? Infinity, top);
    bottoms[at] = Math.max(bottoms[at] ?? 0, bottom);
  };
  for (const box of drawn) holds(row(box), Number(box.dataset.y) - 4, Number(box.dataset.y) + tall);
  for (const { from, to, size } of edges) {
    if (row(from) === row(to)) holds(row(from), size.y - 2, size.y + size.height + 2);
  }
  const down = []; // how far a row is moved
  let end = edges.some(({ from, to }) => row(from) > 0 && row(to) === 0) ? 8 + BETWEEN : 8;
  for (let at = 0; at < tops.length; at++) {
    down[at] = end - (tops[at] ?? 0);
    end += (bottoms[at] ?? 0) - (tops[at] ?? 0) + BETWEEN;
  }
  const place = (box) => [box.dataset.x - row(box) * columns * pitch + EDGE - 10, Number(box.dataset.y) + down[row(box)]];
  for (const box of drawn) box.setAttribute("transform", `translate(${place(box)})`);
  const used = Math.min(columns, 1 + Math.max(0, ...drawn.map((box) => Number(box.dataset.c))));
  const width = 2 * EDGE + (used - 1) * pitch + wide;
  for (const { path, d, word, from, to } of edges) {
    const [x, y] = place(from);
    const [x2, y2] = place(to);
    const same = row(from) === row(to);
    const moved = `translate(${-row(from) * columns * pitch + EDGE - 10},${down[row(from)]})`;
    if (same) {
      word?.setAttribute("transform", moved);
      path.setAttribute("d", d);
      path.setAttribute("transform", moved);
    } else {
      const between = tops[row(to)] + down[row(to)] - BETWEEN / 2;
      const out = [[x + wide, y + tall / 2], [x + wide + 8, y + tall / 2], [x + wide + 8, between]];
      const into = [[x2 - 11, between], [x2 - 11, y2 + tall / 2], [x2, y2 + tall / 2]];
      path.setAttribute("d", along([...out, ...into]));
      path.removeAttribute("transform");
      const half = [(x + wide + x2) / 2, between + 3];
      word?.setAttribute("transform", `translate(${half[0] - word.getAttribute("x")},${half[1] - word.getAttribute("y")})`);
    }
  }
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", end - BETWEEN + 8);
}

function centre(box) {
  const outer = strip.getBoundingClientRect();
  const inner = box.getBoundingClientRect();
  if (inner.top < outer.top || inner.bottom > outer.bottom) {
    strip.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
  }
  if (inner.left < outer.left || inner.right > outer.right) {
    strip.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
}

breakRows();
addEventListener("resize", breakRows);
matchMedia("print").addEventListener("change", breakRows);
