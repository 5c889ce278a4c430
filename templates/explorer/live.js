// With a server behind it: load again when the workflow was saved, and look at the same place as before.
const live = document.documentElement.dataset.live;
const PLACE = "pflow-lower place";

function place() {
  return {
    path: location.href,
    tab: openPane(),
    scroll: panes.map((pane) => pane.scrollTop),
    name: panes.map((pane) => pane.dataset.name ?? ""),
    held: held?.id ?? "",
  };
}

function restore() {
  const before = JSON.parse(remember(PLACE) ?? "null");
  if (before?.path !== location.href) return;
  const name = before.name[before.tab];
  const tab = panes.findIndex((pane, number) => number > 0 && pane.dataset.name === name);
  if (tab > 0) choose(tab);
  for (const [number, pane] of panes.entries()) pane.scrollTop = before.scroll[number] ?? 0;
  const element = document.getElementById(before.held);
  if (element?.dataset.l) moveTo(element);
}

if (live) {
  restore();
  const events = new EventSource("/events");
  events.addEventListener("message", (event) => {
    document.documentElement.classList.remove("lost");
    if (event.data === live) return;
    remember(PLACE, JSON.stringify(place()));
    location.reload();
  });
  events.addEventListener("error", () => {
    trace.textContent = "The server has stopped; this is the workflow as it was last seen.";
  });
}
