// Before the first paint, so that a chosen theme does not flash.
(() => {
  "use strict";
  const stored = localStorage.getItem("crownest-theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
})();
