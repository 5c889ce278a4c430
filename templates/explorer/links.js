// Lines, and what they have to do with each other. A link's first region is the workflow's.
const trace = document.getElementById("trace");
const hint = trace.textContent;

const linksOf = (element) => (element.dataset.l ? element.dataset.l.split(" ").map(Number) : []);
const regionsOf = (links) => links.flatMap((link) => page.links[link][3]);

const boxes = new Map(); // by link, the boxes of the graph
for (const box of document.querySelectorAll(".box")) {
  for (const link of linksOf(box)) boxes.set(link, [...(boxes.get(link) ?? []), box]);
}

// A whole node, or a list of many edges: too much to be painted like a line.
const isBroad = (link, [, first, last]) => page.links[link][2] === link || last - first >= 40;

let lit = [];
let shown = []; // the links that are lit
let held = null; // the element whose links stay lit when the pointer leaves

function mark(regions, name) {
  for (const [pane, first, last] of regions) {
    for (let line = first; line <= last; line++) {
      const row = rowOf(pane, line);
      if (row) {
        row.classList.add(name);
        lit.push([row, name]);
      }
    }
  }
}

function clear() {
  for (const [element, name] of lit) element.classList.remove(name);
  lit = [];
  shown = [];
}

function show(element, from, scroll) {
  const links = element ? linksOf(element) : [];
  clear();
  shown = links;
  const regions = regionsOf(links);
  const whole = links.map((link) => page.links[link][2]).filter((link) => link >= 0);
  mark(regionsOf(whole), "near");
  for (const link of links) {
    for (const region of page.links[link][3]) mark([region], isBroad(link, region) ? "whole" : "hit");
  }
  for (const box of [...new Set([...links, ...whole])].flatMap((link) => boxes.get(link) ?? [])) {
    box.classList.add("lit");
    lit.push([box, "lit"]);
  }
  for (const tab of document.querySelectorAll("[role=tab]")) {
    if (regions.some(([pane]) => `tab${pane}` === tab.id)) {
      tab.classList.add("holds");
      lit.push([tab, "holds"]);
    }
  }
  say(links, regions);
  if (scroll) reveal(regions, from);
  drawRibbons();
}

// Bring what belongs to it into view in the other panes, where it is out of sight; never where the pointer is.
function reveal(regions, from) {
  if (from <= 0) openTabOf(regions);
  const wanted = from > 0 ? [0] : from === 0 ? [openPane()] : [0, openPane()];
  for (const number of wanted) {
    const first = regions.filter(([pane, line]) => pane === number && !rowOf(pane, line)?.closest("[hidden]"))[0];
    if (first) bringIn(number, first);
  }
  if (from >= 0) for (const each of document.querySelectorAll(".box.lit")) centre(each);
  drawRibbons();
}

// What the links are about: a place or two of a node, or the node; several nodes by how many they are.
function nameOf(links) {
  const labels = [...new Set(links.map((link) => page.links[link][0]))];
  if (labels.length <= 2) return labels.join(", ");
  const nodes = [...new Set(links.map((link) => page.links[link][2]))];
  if (nodes.length > 1) return `${labels.length} places`;
  return nodes[0] < 0 ? labels[0].split(".")[0] : page.links[nodes[0]][0];
}

// In words, for everybody: what it is, and where it went.
function say(links, regions) {
  trace.replaceChildren();
  if (!links.length) {
    trace.textContent = hint;
    return;
  }
  const name = document.createElement("b");
  name.textContent = nameOf(links);
  const places = new Map();
  for (const [pane, first, last] of regions) {
    const list = places.get(pane) ?? places.set(pane, new Set()).get(pane);
    list.add(first === last ? `${first}` : `${first}–${last}`);
  }
  const words = [...places].sort((a, b) => a[0] - b[0]).map(([pane, list]) => `${page.names[pane]} ${few([...list])}`);
  trace.append(name, ` · ${words.join(" → ")}`);
}

const few = (list) => (list.length > 3 ? `${list.slice(0, 3).join(", ")} …` : list.join(", "));

// What is pointed at is lit at once; the other side follows when the pointer has come to rest.
let waiting = 0;
function point(element) {
  clearTimeout(waiting);
  const from = !element || element.matches(".box") ? -1 : paneOf(element);
  show(element, from, false);
  if (element && element !== held) waiting = setTimeout(() => reveal(regionsOf(shown), from), 120);
}

const main = document.querySelector("main");
let last = "";
main.addEventListener("mouseover", (event) => {
  const here = `${event.clientX},${event.clientY}`;
  if (here === last) return; // the text moved, not the pointer
  last = here;
  const source = event.target.closest(".l, .box");
  if (document.querySelector(".dragged")) return;
  const element = source?.matches(".l") ? source.firstElementChild : source;
  point(element?.dataset.l ? element : held);
});
main.addEventListener("mouseleave", () => point(held));
