// What a page shows, as data; evaluated by the browser that shows it.
(() => {
  const text = (element) => element.textContent.replace(/\s+/g, " ").trim();
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const cells = (row) => [...row.children].map(text);
  return {
    title: document.title,
    verdict: text(document.querySelector(".verdict")),
    clock: all(".clock").filter((one) => !one.hidden).map(text),
    facts: all(".facts dd").map(text),
    nodes: all("li[data-node]").map((node) => ({
      name: node.dataset.node,
      machine: text(node.querySelector(".machine")),
      discs: all(".source", node).map((disc) => ({ path: text(disc.querySelector("code")), text: text(disc) })),
    })),
    registry: text(document.querySelector(".machine.registry")),
    images: all("#image-table tbody tr").map(cells),
    certificates: all("article.certificate").map((card) => ({
      state: card.className,
      life: text(card.querySelector("[data-days]")),
      times: all("time", card).map((time) => time.dateTime),
      names: all(".names li", card).map(text),
    })),
    findings: all("article.finding").map((card) => ({
      id: text(card.querySelector(".id")),
      word: text(card.querySelector(".badge")),
      text: text(card),
    })),
    rows: all("#check ~ details tbody tr").map(cells),
    digest: text(document.querySelector(".whole")),
    command: document.querySelector("pre").textContent,
    // Elements that no page of ours has, whoever put them there.
    strange: all("img, iframe, object, embed, link, base, form, [style], [onerror], [onclick], [src]").map((one) => one.outerHTML),
    scripts: document.scripts.length,
    targets: all("[href]").map((one) => one.getAttribute("href")).filter((target) => !target.startsWith("#")),
  };
})();
