// The keyboard: one stop of the tab key per pane and graph; the arrow keys walk between the lines that lead anywhere.
const stops = new WeakMap();

function stopsOf(group) {
  if (!stops.has(group)) stops.set(group, [...group.querySelectorAll("a[data-l]:not([data-l='']), a.box")]);
  return stops.get(group);
}

function moveTo(element, settle = true) {
  const group = element.closest(".code, .graph");
  for (const other of group.querySelectorAll("a[tabindex='0']")) other.tabIndex = -1;
  element.tabIndex = 0;
  element.focus({ preventScroll: settle });
  if (settle) element.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// Follow a link to a line, in whichever tab it is.
function follow(element) {
  const wanted = element.getAttribute("href").slice(1);
  let target = document.getElementById(wanted);
  const links = linksOf(element);
  // Of several places in generated files, the one in the open tab is the nearest.
  const open = openPane();
  const here = regionsOf(links).find(([pane]) => pane === open);
  if (paneOf(element) === 0 && here) target = anchor(here[0], here[1]);
  if (!target) return;
  const pane = paneOf(target);
  if (pane > 0 && panes[pane].hidden) openTab(pane);
  unfold(target);
  if (target.dataset.l) moveTo(target);
  else target.scrollIntoView({ block: "center" });
  const view = panes[pane].getBoundingClientRect();
  const row = target.parentElement.getBoundingClientRect();
  if (row.top < view.top + 30 || row.bottom > view.bottom - 60) target.scrollIntoView({ block: "center" });
}

document.addEventListener("focusin", (event) => {
  const element = event.target.closest?.("a[data-l]");
  if (!element?.dataset.l) return;
  held = element;
  show(element, element.matches(".box") ? -1 : paneOf(element), true);
});

document.addEventListener("click", (event) => {
  const menu = document.querySelector("details.findings[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
  const finding = event.target.closest("a[data-f]");
  if (finding) {
    const note = document.getElementById(finding.getAttribute("href").slice(1));
    event.preventDefault();
    if (menu) menu.open = false;
    note?.scrollIntoView({ block: "center" });
    note?.focus({ preventScroll: true });
    return;
  }
  const element = event.target.closest("a[data-l]");
  if (element?.hasAttribute("href")) {
    event.preventDefault();
    if (element.getAttribute("href")) follow(element);
    return;
  }
  const row = event.target.closest(".l");
  if (row && String(getSelection()) === "" && row.firstElementChild.dataset.l) moveTo(row.firstElementChild);
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") {
    const menu = document.querySelector("details.findings[open]");
    if (menu) {
      menu.open = false;
      menu.firstElementChild.focus();
    }
    held = null;
    show(null, -1, false);
    return;
  }
  if (shortcut(event)) return;
  const group = event.target.closest?.(".code, .graph");
  if (!group || !event.target.matches("a")) return;
  const all = stopsOf(group);
  const at = all.indexOf(event.target);
  const graph = group.matches(".graph");
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  if (graph) Object.assign(next, { ArrowRight: at + 1, ArrowLeft: at - 1 });
  if (event.key in next) {
    event.preventDefault();
    const to = all[Math.min(Math.max(next[event.key], 0), all.length - 1)];
    if (to) moveTo(to);
    if (to && graph) centre(to);
  } else if (!graph && ((event.key === "ArrowRight" && paneOf(group) === 0) || (event.key === "ArrowLeft" && paneOf(group) > 0))) {
    event.preventDefault();
    follow(event.target);
  }
});
