// Find a node or a text, and go from batch to batch.
const find = document.getElementById("find");
const hits = document.getElementById("hits");
const batches = drawn.filter((box) => box.matches(".batch"));
const MOST = 1000;
let matches = [];
let at = -1;

function matchesOf(text) {
  const wanted = text.toLowerCase();
  const nodes = drawn.filter((box) => box.getAttribute("aria-label").toLowerCase().includes(wanted));
  const lines = [0, openPane()].filter((number) => number >= 0).flatMap((number) => [...panes[number].querySelectorAll(".l")]);
  return [...nodes, ...lines.filter((row) => row.lastChild && textOf(row).toLowerCase().includes(wanted)).slice(0, MOST)];
}

// Without the number of the line.
const textOf = (row) => row.textContent.slice(row.firstElementChild.textContent.length);

function search() {
  for (const element of document.querySelectorAll(".found, .dim")) element.classList.remove("found", "dim");
  matches = find.value.trim() ? matchesOf(find.value.trim()) : [];
  at = -1;
  for (const element of matches) element.classList.add("found");
  if (matches[0]?.matches(".box")) for (const box of drawn) box.classList.toggle("dim", !box.matches(".found"));
  if (matches.length) turn(1);
  else hits.textContent = find.value.trim() ? "nothing" : "";
}

function turn(step) {
  if (!matches.length) return;
  at = (at + step + matches.length) % matches.length;
  hits.textContent = `${at + 1} of ${matches.length}${matches.length >= MOST ? " or more" : ""}`;
  goTo(matches[at]);
}

// Hold a node or a line without taking the keyboard from where it is.
function goTo(element) {
  const line = element.matches(".l");
  if (line) {
    if (paneOf(element) > 0 && panes[paneOf(element)].hidden) openTab(paneOf(element));
    unfold(element);
    bringIn(paneOf(element), [0, ...Array(2).fill(Number(element.firstElementChild.id.split("-")[1]))]);
  } else centre(element);
  const source = line ? element.firstElementChild : element;
  if (!source.dataset.l) {
    if (!line) document.getElementById(source.getAttribute("href").slice(1))?.scrollIntoView({ block: "center" });
    return;
  }
  held = source;
  show(source, line ? paneOf(element) : -1, true);
}

let batch = -1;
function toBatch(step) {
  if (!batches.length) return;
  const lit = batches.findIndex((box) => box.matches(".lit"));
  batch = lit >= 0 ? lit + step : batch < 0 && step < 0 ? -1 : batch + step;
  batch = (batch + batches.length) % batches.length;
  goTo(batches[batch]);
}

find.addEventListener("input", search);
find.addEventListener("keydown", (event) => {
  if (event.key === "Enter") turn(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") {
    find.value = "";
    search();
  }
});
document.getElementById("next")?.addEventListener("click", () => toBatch(1));
document.getElementById("previous")?.addEventListener("click", () => toBatch(-1));

// Keys that work wherever nothing is typed.
function shortcut(event) {
  if (event.target.closest?.("input")) return false;
  if (event.key === "/") find.focus();
  else if (event.key === "n" || event.key === "p") toBatch(event.key === "n" ? 1 : -1);
  else return false;
  event.preventDefault();
  return true;
}
