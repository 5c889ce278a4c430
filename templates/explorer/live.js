// With a server behind it: load again when the workflow was saved, and look at the same place as before.
const live = document.documentElement.dataset.live;
const PLACE = "pflow-lower place";

function place() {
  return {
    path: location.href,
    tab: openPane(),
    chosen,
    scroll: panes.map((pane) => pane.scrollTop),
    name: panes.map((pane) => pane.dataset.name ?? ""),
    held: held?.id ?? "",
  };
}

function restore() {
  const before = JSON.parse(remember(PLACE) ?? "null");
  if (before?.path !== location.href) return;
  const named = (number) => panes.findIndex((pane, at) => at > 0 && pane.dataset.name === before.name[number]);
  const element = document.getElementById(before.held);
  if (element?.dataset.l) moveTo(element);
  if (named(before.chosen) > 0) chosen = named(before.chosen);
  if (named(before.tab) > 0) openTab(named(before.tab));
  for (const [number, pane] of panes.entries()) pane.scrollTop = before.scroll[number] ?? 0;
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
