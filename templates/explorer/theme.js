// Light, dark, or as the system has it. A browser that keeps nothing for local files forgets the choice: no harm.
const themes = ["auto", "light", "dark"];
const button = document.getElementById("theme");

function remember(key, value) {
  try {
    if (value === undefined) return sessionStorage.getItem(key);
    sessionStorage.setItem(key, value);
  } catch {
    // storage is switched off
  }
  return null;
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.querySelector("span").textContent = theme;
}

button.hidden = false;
setTheme(themes.includes(remember("pflow-lower theme")) ? remember("pflow-lower theme") : "auto");
button.addEventListener("click", () => {
  const theme = themes[(themes.indexOf(button.querySelector("span").textContent) + 1) % themes.length];
  remember("pflow-lower theme", theme);
  setTheme(theme);
});
