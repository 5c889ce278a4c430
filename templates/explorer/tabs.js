// The generated files: one is seen at a time.
const tabs = [...document.querySelectorAll("[role=tab]")];

let chosen = openPane(); // what the reader wants to see, wherever there is something to see there

function openTab(number) {
  for (const tab of tabs) {
    const open = tab.id === `tab${number}`;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !open;
  }
}

function choose(number) {
  chosen = number;
  openTab(number);
  const first = held && regionsOf(linksOf(held)).find(([pane]) => pane === number);
  if (first) bringIn(number, first);
  drawRibbons();
}

// A node without a batch has no class: its step of the program is in another tab.
function openTabOf(regions) {
  const holding = [...new Set(regions.map(([pane]) => pane))].filter((pane) => pane > 0).sort((a, b) => a - b);
  if (!holding.length) return;
  const wanted = holding.includes(chosen) ? chosen : holding[0];
  if (wanted !== openPane()) openTab(wanted);
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(at + 1));
  tab.addEventListener("keydown", (event) => {
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = next % tabs.length;
    choose(to + 1);
    tabs[to].focus();
  });
}
