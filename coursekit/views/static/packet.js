// A packet figure: arrow keys move through fields and bytes, and the lit field is explained in a line that is read out.
const SUPPRESS = "data-lm-suppress-shortcuts"; // or JupyterLab cuts the cell when a learner types x

function number(element) {
  const found = [...element.classList].find((name) => /^f\d+$/.test(name));
  return found ? Number(found.slice(1)) : -1;
}

function enlivenPacket(figure) {
  const split = figure.querySelector(":scope > .ck-split, :scope .ck-split");
  const left = split?.querySelector(".ck-left");
  if (!left) return;
  const fields = [...split.querySelectorAll(".ck-scroll [title]")];
  const bytes = [...left.querySelectorAll(".ck-hex span")];
  const box = split.querySelector(".ck-scroll");
  const detail = document.createElement("div");
  detail.className = "ck-detail";
  detail.setAttribute("role", "status");
  detail.setAttribute("aria-live", "polite");
  detail.textContent = "Point at a byte or a field, or move through them with the arrow keys.";
  left.append(detail);
  split.parentElement.classList.add("ck-on");

  function explain(field) {
    const cells = field.cells;
    const [key, ...meaning] = field.title.split(": ");
    const name = document.createElement("b");
    const value = document.createElement("code");
    const words = document.createElement("div");
    if (cells) {
      name.textContent = `${cells[1].firstChild.textContent} (${key})`;
      const bits = cells[1].querySelector("code");
      value.textContent = `byte ${cells[0].textContent}${bits ? `, bits ${bits.textContent}` : ""} = ${cells[2].textContent}`;
    } else {
      name.textContent = key;
    }
    words.textContent = meaning.join(": ");
    detail.replaceChildren(name, value, words);
  }

  function show(field) {
    explain(field);
    const top = field.offsetTop, bottom = top + field.offsetHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  }

  const fieldOf = (element) => fields.find((field) => number(field) === number(element));

  // One Tab stop for the fields and one for the bytes; arrow keys move inside.
  function rove(list, columns) {
    list.forEach((item, i) => {
      item.tabIndex = i ? -1 : 0;
      item.setAttribute(SUPPRESS, "true");
      item.addEventListener("focus", () => {
        list.forEach((other) => (other.tabIndex = other === item ? 0 : -1));
        const field = fieldOf(item);
        if (field) show(field);
      });
      item.addEventListener("mouseenter", () => {
        const field = fieldOf(item);
        if (field) list === fields ? explain(field) : show(field);
      });
      item.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        let next = step ? i + step : { Home: 0, End: list.length - 1 }[event.key];
        if (step && columns && event.key.match(/Up|Down/)) next = below(list, i, step);
        if (next === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        list[Math.max(0, Math.min(list.length - 1, next))].focus({ preventScroll: list === fields });
      });
    });
  }

  // The byte in the row above or below that stands nearest.
  function below(list, i, step) {
    const row = list[i].closest("tr");
    let other = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    while (other && !other.querySelector("span")) other = step > 0 ? other.nextElementSibling : other.previousElementSibling;
    if (!other) return i;
    const x = list[i].getBoundingClientRect().left;
    const near = [...other.querySelectorAll("span")].sort(
      (a, b) => Math.abs(a.getBoundingClientRect().left - x) - Math.abs(b.getBoundingClientRect().left - x))[0];
    return list.indexOf(near);
  }

  rove(fields, false);
  rove(bytes, true);
}
