// What the page does by itself: theme, times, copying, keys, dialogs, coming back. Works on pages without a circuit too.
(() => {
  "use strict";
  const root = document.documentElement;
  window.crownest = window.crownest || {};

  // Theme: system, light, dark.
  const themes = ["system", "light", "dark"];
  const currentTheme = () => root.dataset.theme || "system";
  function showTheme() {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.setAttribute("aria-label", `Theme: ${currentTheme()}`);
      button.querySelector("[data-theme-name]").textContent = currentTheme();
    }
  }
  function switchTheme() {
    const next = themes[(themes.indexOf(currentTheme()) + 1) % themes.length];
    if (next === "system") {
      delete root.dataset.theme;
      localStorage.removeItem("crownest-theme");
    } else {
      root.dataset.theme = next;
      localStorage.setItem("crownest-theme", next);
    }
    showTheme();
  }

  // Times: the server's clock decides, this machine's may be wrong.
  const clockOffset = Number(document.body.dataset.serverTime) - Date.now();
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
  function spell(milliseconds) {
    const s = Math.max(0, Math.floor(milliseconds / 1000));
    const two = (a, ua, b, ub) => (b ? `${a} ${ua} ${b} ${ub}` : `${a} ${ua}`);
    if (s < 60) return `${s} s`;
    if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
    if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
    return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
  }
  function spellTime(element, now) {
    const at = Number(element.dataset.time);
    switch (element.dataset.timeAs) {
      case "left": {
        const left = at - now;
        element.classList.toggle("soon", left < 60000);
        return left <= 0 ? "ending" : spell(left);
      }
      case "clock": {
        const then = new Date(at);
        const isToday = day.format(then) === day.format(new Date(now));
        return isToday ? clock.format(then) : `${day.format(then)}, ${clock.format(then)}`;
      }
      default:
        return spell(now - at);
    }
  }
  function tick() {
    const now = Date.now() + clockOffset;
    for (const element of document.querySelectorAll("time[data-time]")) {
      const text = spellTime(element, now);
      if (element.textContent !== text) element.textContent = text;
    }
  }
  let ticking = false;
  new MutationObserver(changes => {
    if (ticking || changes.every(change => change.target.closest?.(".output-frame, time"))) return;
    ticking = true;
    queueMicrotask(() => { ticking = false; tick(); });
  }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-time"] });
  setInterval(tick, 1000);

  // Copying.
  async function copy(button) {
    let done = true;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      done = false;
    }
    button.dataset.copied = done ? "Copied" : "Not allowed";
    clearTimeout(button.copyTimer);
    button.copyTimer = setTimeout(() => delete button.dataset.copied, 1500);
  }

  document.addEventListener("click", event => {
    const target = event.target.closest("[data-copy], [data-theme-switch], [data-opens], [data-reload]");
    if (!target) return;
    if ("copy" in target.dataset) copy(target);
    else if ("themeSwitch" in target.dataset) switchTheme();
    else if ("opens" in target.dataset) document.getElementById(target.dataset.opens).showModal();
    else { event.preventDefault(); location.reload(); }
  });

  // Keys: an element names its own. "g s" is a sequence.
  let pending = "";
  document.addEventListener("keydown", event => {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const keys = pending ? `${pending} ${event.key}` : event.key;
    pending = keys === "g" ? "g" : "";
    const target = document.querySelector(`[data-shortcut="${CSS.escape(keys)}"]`)
      || [...document.querySelectorAll("[data-shortcut]")].find(element => element.dataset.shortcut === keys);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input, textarea")) target.focus();
    else target.click();
  });

  // A sign-in link that a person opened needs no further click; one that a program prefetched gets none.
  const automatic = document.querySelector("form[data-auto-submit]");
  if (automatic && !document.prerendering && document.visibilityState === "visible") automatic.requestSubmit();

  // The circuit is gone for good (the dashboard was restarted): reload as soon as somebody answers.
  const modal = document.getElementById("components-reconnect-modal");
  let returning = false;
  async function reloadWhenBack() {
    if (returning) return;
    returning = true;
    for (;;) {
      try {
        if ((await fetch("/healthz", { cache: "no-store" })).ok) break;
      } catch {
        // Still away.
      }
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    location.reload();
  }
  if (modal) {
    new MutationObserver(() => {
      if (/components-reconnect-(failed|rejected)/.test(modal.className)) reloadWhenBack();
    }).observe(modal, { attributes: true, attributeFilter: ["class"] });
  }

  window.crownest.reportVisibility = page => {
    const report = () => page.invokeMethodAsync("SetHidden", document.hidden).catch(() => {
      document.removeEventListener("visibilitychange", report);
    });
    document.addEventListener("visibilitychange", report);
    if (document.hidden) report();
  };

  showTheme();
  tick();
})();
