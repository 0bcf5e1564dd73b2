// A packet figure: a header opens at a click on its box or on one of its bytes, arrow keys move through boxes, bytes and
// open fields, and the lit field is explained in a line that is read out. Pointing opens nothing.
const SUPPRESS = "data-lm-suppress-shortcuts"; // or JupyterLab cuts the cell when a learner types x

function number(element, letter = "f") {
  const found = [...element.classList].find((name) => name[0] === letter && /^\d+$/.test(name.slice(1)));
  return found ? Number(found.slice(1)) : -1;
}

function enlivenPacket(figure) {
  const split = figure.querySelector(":scope > .ck-split, :scope .ck-split");
  const left = split?.querySelector(".ck-left");
  if (!left) return;
  const layers = [...split.querySelectorAll(".ck-layer")];
  const fields = [...split.querySelectorAll(".ck-scroll [title]")];
  const bytes = [...left.querySelectorAll(".ck-hex b")];
  const boxes = [...(split.parentElement.querySelector(":scope > .ck-env")?.querySelectorAll("i") ?? [])];
  const box = split.querySelector(".ck-scroll");
  const detail = document.createElement("div");
  detail.className = "ck-detail";
  detail.setAttribute("role", "status");
  detail.setAttribute("aria-live", "polite");
  detail.textContent = "Open a header by its line, its box or one of its bytes. Point at a byte or a field, or move with the arrow keys.";
  left.append(detail);
  split.parentElement.classList.add("ck-on");

  const layerOf = (field) => field.closest(".ck-layer");
  const fieldOf = (element) => fields.find((field) => number(field) === number(element));

  function explain(field) {
    const cells = field.cells;
    const [key, ...meaning] = field.title.split(": ");
    const name = document.createElement("b");
    const value = document.createElement("code");
    const words = document.createElement("div");
    const source = layerOf(field).querySelector("summary small").textContent.split(" · ").at(-1);
    if (cells) {
      name.textContent = `${cells[1].firstChild.textContent} (${key})`;
      const bits = cells[1].querySelector("code");
      value.textContent = `byte ${cells[0].textContent}${bits ? `, bits ${bits.textContent}` : ""} = ${cells[2].textContent}`;
    } else {
      name.textContent = key;
    }
    words.textContent = meaning.join(": ") + (/\)$/.test(field.title) || !/§|RFC/.test(source) ? "" : ` (${source})`);
    detail.replaceChildren(name, value, words);
    detail.className = `ck-detail ${[...layerOf(field).classList].find((it) => /^d\d$/.test(it))}`;
  }

  function inSight(part) {
    const top = part.getBoundingClientRect().top - box.getBoundingClientRect().top, bottom = top + part.offsetHeight;
    if (top < 0) box.scrollTop += top;
    else if (bottom > box.clientHeight) box.scrollTop += Math.min(top, bottom - box.clientHeight);
  }

  function show(field) {
    explain(field);
    if (layerOf(field).open) inSight(field);
  }

  function open(layer, wanted = true) {
    if (!layer) return;
    layer.open = wanted;
    if (wanted) requestAnimationFrame(() => inSight(layer));
  }

  layers.forEach((layer) => layer.addEventListener("toggle", () => {
    boxes.forEach((it) => layers[number(it, "h")] === layer && it.setAttribute("aria-expanded", String(layer.open)));
    entrances(fields);
  }));
  bytes.forEach((byte) => byte.addEventListener("click", () => {
    const field = fieldOf(byte);
    if (!field) return;
    open(layerOf(field));
    requestAnimationFrame(() => show(field));
  }));
  boxes.forEach((it) => {
    const layer = layers[number(it, "h")];
    it.setAttribute("role", "button");
    it.setAttribute("aria-expanded", "false");
    it.setAttribute("aria-label", layer?.querySelector("summary").textContent ?? "");
    it.title = layer?.querySelector("summary").textContent ?? "";
    it.addEventListener("click", () => open(layer, !layer.open));
  });

  // One Tab stop for the boxes, one for the bytes and one for the open fields; arrow keys move inside.
  const there = (list) => list.filter((item) => list !== fields || layerOf(item).open);
  function entrances(list, first = there(list)[0]) {
    list.forEach((other) => (other.tabIndex = other === first ? 0 : -1));
  }

  function rove(list, columns) {
    entrances(list);
    list.forEach((item) => {
      item.setAttribute(SUPPRESS, "true");
      item.addEventListener("focus", () => {
        entrances(list, item);
        const field = fieldOf(item);
        if (field) show(field);
      });
      item.addEventListener("mouseenter", () => {
        const field = fieldOf(item);
        if (field) list === fields ? explain(field) : show(field);
      });
      item.addEventListener("keydown", (event) => {
        if (list !== fields && /^(Enter| )$/.test(event.key)) {
          event.preventDefault();
          event.stopPropagation();
          return item.click();
        }
        const shown = there(list), i = shown.indexOf(item);
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        let next = step ? i + step : { Home: 0, End: shown.length - 1 }[event.key];
        if (step && columns && event.key.match(/Up|Down/)) next = below(list, i, step);
        if (next === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        shown[Math.max(0, Math.min(shown.length - 1, next))].focus({ preventScroll: list === fields });
      });
    });
  }

  // The byte in the row above or below that stands nearest.
  function below(list, i, step) {
    const row = list[i].closest("tr");
    let other = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    while (other && !other.querySelector("b")) other = step > 0 ? other.nextElementSibling : other.previousElementSibling;
    if (!other) return i;
    const x = list[i].getBoundingClientRect().left;
    const near = [...other.querySelectorAll("b")].sort(
      (a, b) => Math.abs(a.getBoundingClientRect().left - x) - Math.abs(b.getBoundingClientRect().left - x))[0];
    return list.indexOf(near);
  }

  rove(fields, false);
  rove(bytes, true);
  rove(boxes, false);
}
