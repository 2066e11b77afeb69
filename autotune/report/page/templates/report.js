"use strict";
const nonce = document.currentScript.nonce;

(function trials() {
  const table = document.getElementById("trials"), body = table.tBodies[0], rows = [...body.rows];
  const field = document.getElementById("filter"), count = document.getElementById("count");
  const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));

  function filter() {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !wanted.every((word) => texts.get(row).includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length}`;
  }

  function sort(head) {
    const at = head.cellIndex, number = head.classList.contains("number");
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const keyed = rows.map((row) => {
      const text = row.cells[at].textContent;
      return [number ? parseFloat(text) : text, text === "", row];
    });
    const compare = number ? (a, b) => a - b : new Intl.Collator(undefined, { numeric: true }).compare;
    // What is empty stays below, either way.
    keyed.sort((a, b) => a[1] - b[1] || (a[1] ? 0 : compare(a[0], b[0]) * (falling ? -1 : 1)));
    body.append(...keyed.map((one) => one[2]));
  }

  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head));
    head.replaceChildren(button);
  }
  field.addEventListener("input", filter);
  field.closest("p").hidden = false;
  filter();
})();

window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

(async function plots() {
  const packed = document.getElementById("plotly"), places = [...document.querySelectorAll("[data-plot]")];
  if (!packed) return;
  if (!window.DecompressionStream) {
    document.getElementById("old").hidden = false;
    return;
  }
  const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
  packed.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.nonce = nonce;
  script.textContent = await new Response(stream).text();
  document.head.append(script);

  function colours(layout) {
    const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim();
    const found = { "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font.color": read("--ink") };
    Object.assign(found, { "modebar.bgcolor": "rgba(0,0,0,0)", "modebar.color": read("--line"), "modebar.activecolor": read("--faint") });
    for (const key of ["xaxis", "yaxis", ...Object.keys(layout).filter((one) => /^[xy]axis\d+$/.test(one))]) {
      for (const part of ["gridcolor", "linecolor", "zerolinecolor"]) found[`${key}.${part}`] = read("--line");
    }
    return found;
  }

  for (const place of places) {
    const { data, layout } = JSON.parse(document.querySelector(`[data-figure="${place.dataset.plot}"]`).textContent);
    const plain = { margin: { t: 40, r: 16, b: 56, l: 56 }, ...layout, autosize: true };
    await Plotly.newPlot(place, data, plain, { responsive: true, displaylogo: false });
    await Plotly.relayout(place, colours(plain));
    await new Promise((done) => setTimeout(done));
  }

  function recolour() {
    for (const place of places) Plotly.relayout(place, colours(place.layout));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  matchMedia("print").addEventListener("change", () => {
    recolour();
    for (const place of places) Plotly.Plots.resize(place);
  });
  document.documentElement.dataset.ready = "plots";
})();
