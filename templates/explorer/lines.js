// The lines of all panes: where one stands on the page, and how it comes into view.
const page = JSON.parse(document.getElementById("links").textContent);
const panes = [...document.querySelectorAll(".code")];

const paneOf = (element) => panes.indexOf(element.closest(".code"));
const openPane = () => panes.findIndex((pane, number) => number > 0 && !pane.hidden);

// The number of a line; of one that is left out, that of the place where it would be.
function anchor(pane, line) {
  const gap = page.gaps[pane]?.find(([first, last]) => first <= line && line <= last);
  return document.getElementById(`p${pane}-${gap ? gap[0] : line}`);
}

const rowOf = (pane, line) => anchor(pane, line)?.parentElement;

// Header and imports of a file are folded until somebody asks for them.
function fold(button, folded) {
  const part = document.getElementById(button.getAttribute("aria-controls"));
  if (folded) part.setAttribute("hidden", "until-found");
  else part.removeAttribute("hidden");
  button.setAttribute("aria-expanded", String(!folded));
}

function unfold(element) {
  const part = element.closest(".chunk[hidden]");
  if (part) fold(part.previousElementSibling, false);
}

for (const button of document.querySelectorAll(".fold")) {
  button.addEventListener("click", () => fold(button, button.getAttribute("aria-expanded") === "true"));
  const part = document.getElementById(button.getAttribute("aria-controls"));
  part.addEventListener("beforematch", () => fold(button, false));
}

// Bring lines into view, at once: nobody waits for ten thousand lines to pass by.
function bringIn(number, [, first, last]) {
  const start = rowOf(number, first);
  const end = rowOf(number, last);
  if (!start || !end || start.closest("[hidden]")) return;
  const pane = panes[number];
  const view = pane.getBoundingClientRect();
  const top = start.getBoundingClientRect().top;
  const bottom = end.getBoundingClientRect().bottom;
  if (top >= view.top && (bottom <= view.bottom || top <= view.top + view.height / 4)) return;
  pane.scrollTop += top - view.top - Math.max(24, (view.height - (bottom - top)) / 3);
}
