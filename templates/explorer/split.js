// The borders between the panes and below the graph can be dragged, or moved with the arrow keys.
const side = document.querySelector(".gutter");
const bar = document.querySelector(".bar");

function setShare(percent) {
  const share = Math.min(Math.max(percent, 15), 85);
  side.setAttribute("aria-valuenow", String(Math.round(share)));
  side.parentElement.style.setProperty("--left", `${share}fr`);
  side.parentElement.style.setProperty("--right", `${100 - share}fr`);
  redraw();
}

// In hundredths of the window's height. What the graph does not need stays with the panes.
function setHeight(percent) {
  const share = Math.min(Math.max(percent, 5), 80);
  bar.setAttribute("aria-valuenow", String(Math.round(share)));
  strip.style.setProperty("--most", `${share}vh`);
  redraw();
}

function movable(border, set, share, keys) {
  border.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    border.setPointerCapture(event.pointerId);
    border.classList.add("dragged");
  });
  border.addEventListener("pointermove", (event) => {
    if (border.matches(".dragged")) set(share(event));
  });
  for (const end of ["pointerup", "pointercancel"]) border.addEventListener(end, () => border.classList.remove("dragged"));
  border.addEventListener("keydown", (event) => {
    const step = { [keys[0]]: -4, [keys[1]]: 4 }[event.key];
    if (!step) return;
    event.preventDefault();
    set(Number(border.getAttribute("aria-valuenow")) + step);
  });
}

movable(
  side,
  setShare,
  (event) => {
    const all = side.parentElement.getBoundingClientRect();
    const half = side.offsetWidth / 2;
    return ((event.clientX - half - all.left) / (all.width - 2 * half)) * 100;
  },
  ["ArrowLeft", "ArrowRight"],
);
if (bar) {
  const top = () => strip.getBoundingClientRect().top;
  bar.setAttribute("aria-valuenow", String(Math.round((strip.offsetHeight / innerHeight) * 100)));
  movable(bar, setHeight, (event) => ((event.clientY - top()) / innerHeight) * 100, ["ArrowUp", "ArrowDown"]);
}
