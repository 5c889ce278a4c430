// The generated files: one is seen at a time.
const tabs = [...document.querySelectorAll("[role=tab]")];

function openTab(number) {
  for (const tab of tabs) {
    const chosen = tab.id === `tab${number}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (held) show(held, paneOf(held) > 0 ? -1 : paneOf(held), true);
  else drawRibbons();
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => openTab(at + 1));
  tab.addEventListener("keydown", (event) => {
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = next % tabs.length;
    openTab(to + 1);
    tabs[to].focus();
  });
}
