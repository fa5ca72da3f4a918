"use strict";
// Counts days by the clock of whoever reads the page, and filters the images. Nothing else happens here.
(() => {
  const DAY = 86400;
  const SOON = 30;
  const now = Math.floor(Date.now() / 1000);
  const days = (count) => `${count} ${count === 1 ? "day" : "days"}`;

  const told = (begin, end) => {
    const left = Math.floor((end - now) / DAY);
    if (now < begin) return ["bad", `begins in ${days(Math.ceil((begin - now) / DAY))}`];
    if (end <= now) return ["bad", `ended ${days(Math.floor((now - end) / DAY))} ago`];
    return [left < SOON ? "fair" : "good", `${days(left)} left`];
  };

  for (const element of document.querySelectorAll("[data-not-after]")) {
    const begin = Number(element.dataset.notBefore);
    const end = Number(element.dataset.notAfter);
    const [state, text] = told(begin, end);
    element.querySelector("[data-days]").textContent = text;
    element.classList.add(state);
    element.hidden = false;
    const gone = Math.min(100, Math.max(0, (100 * (now - begin)) / (end - begin)));
    element.querySelector(".gone")?.setAttribute("width", String(gone || 0));
  }

  const rows = [...document.querySelectorAll("#image-table tbody tr")];
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const select = () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${rows.length}`;
  };
  filter.addEventListener("input", select);
  filter.parentElement.hidden = false;
  select();

  // On paper nothing can be opened.
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...closed()];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
