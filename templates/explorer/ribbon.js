// The band between the two sides: from what is lit on the left to what is lit on the right, as far as both are in sight.
const ribbons = document.getElementById("ribbons");

function span(number, first, last) {
  const view = panes[number].getBoundingClientRect();
  const frame = ribbons.getBoundingClientRect();
  const top = rowOf(number, first)?.getBoundingClientRect().top;
  const bottom = rowOf(number, last)?.getBoundingClientRect().bottom;
  if (top === undefined || bottom === undefined || bottom === top || bottom < view.top || top > view.bottom) return null;
  return [Math.max(top, view.top) - frame.top, Math.min(bottom, view.bottom) - frame.top];
}

function drawRibbons() {
  ribbons.replaceChildren();
  const width = ribbons.getBoundingClientRect().width;
  const open = openPane();
  if (!width || open < 0) return;
  const drawn = new Set();
  for (const link of shown) {
    const [source, ...targets] = page.links[link][3];
    const left = span(0, source[1], source[2]);
    for (const [pane, first, last] of targets) {
      const right = pane === open && left ? span(pane, first, last) : null;
      if (!right) continue;
      const [a, b] = left;
      const [c, d] = right;
      const half = width / 2;
      const path = `M0,${a}C${half},${a} ${half},${c} ${width},${c}L${width},${d}C${half},${d} ${half},${b} 0,${b}Z`;
      if (drawn.has(path)) continue;
      drawn.add(path);
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
      shape.setAttribute("d", path);
      if (isBroad(link, source)) shape.classList.add("whole");
      ribbons.append(shape);
    }
  }
}

let frame = 0;
function redraw() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(drawRibbons);
}
for (const pane of panes) pane.addEventListener("scroll", redraw, { passive: true });
addEventListener("resize", redraw);
