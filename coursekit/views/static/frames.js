// A list of frames: a row, or a packet's cell at a capture point, opens the frame beneath. The kernel draws it when it
// is asked; `model()` is undefined until one is there. What the figure stores of a frame as text stands in until then.
function enlivenFrames(figure, model) {
  const table = figure.querySelector("table.ck-frames");
  if (!table) return;
  const width = table.rows[0].cells.length;
  const stored = new Map([...table.querySelectorAll("details[data-frame]")].map((it) => [it.dataset.frame, it.querySelector("pre")]));
  table.querySelectorAll(".ck-more").forEach((row) => row.remove());
  table.classList.add("ck-live");
  let open = null; // the button whose frame is shown
  const more = document.createElement("tr");
  const place = more.insertCell();
  more.className = "ck-more";
  place.colSpan = width;
  place.setAttribute("role", "status");

  const buttons = [...table.querySelectorAll("[data-frame]")].map((cell) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "ck-open";
    button.append(...cell.childNodes);
    button.setAttribute(SUPPRESS, "true");
    button.setAttribute("aria-expanded", "false");
    const row = cell.parentElement, list = table.classList.contains("ck-list");
    const where = list ? "" : ` at ${table.rows[0].cells[cell.cellIndex].textContent}, ${cell.innerText || button.innerText}`;
    const above = row.previousElementSibling;
    const packet = (above?.className === "ck-words" ? above : row).cells[0].textContent;
    button.setAttribute("aria-label", list ? `frame ${button.textContent}` : `packet ${packet}${where}`);
    button.tabIndex = -1;
    cell.append(button);
    (list ? row : cell).addEventListener("click", () => show(button));
    return button;
  });
  if (buttons.length) buttons[0].tabIndex = 0;

  function show(button) {
    open?.setAttribute("aria-expanded", "false");
    open?.closest("td, th").classList.remove("ck-here");
    more.remove();
    open = open === button ? null : button;
    if (!open) return;
    const cell = open.closest("td, th"), number = cell.dataset.frame;
    open.setAttribute("aria-expanded", "true");
    cell.classList.add("ck-here");
    const waiting = document.createElement("p");
    waiting.textContent = "The kernel is asked for this frame. If none runs, run the cell again.";
    place.replaceChildren(stored.get(number) ?? waiting);
    cell.parentElement.after(more);
    ask(number);
  }

  let asked; // the model that is listened to
  function ask(number) {
    const one = model();
    if (!one) return;
    if (asked !== one) {
      asked = one;
      one.on("msg:custom", ({ frame, html }) => {
        if (open?.closest("td, th").dataset.frame === String(frame)) place.innerHTML = html;
      });
    }
    one.send({ frame: Number(number) });
  }

  table.addEventListener("keydown", (event) => {
    const now = buttons.indexOf(event.target);
    if (now < 0) return;
    const rows = [...new Set(buttons.map((it) => it.closest("tr")))], row = rows.indexOf(event.target.closest("tr"));
    const beside = (step) => {
      const there = buttons.filter((it) => it.closest("tr") === rows[row + step]);
      const column = event.target.closest("td, th").cellIndex;
      return there.sort((a, b) => Math.abs(a.closest("td, th").cellIndex - column) - Math.abs(b.closest("td, th").cellIndex - column))[0];
    };
    const next = {
      ArrowRight: () => buttons[now + 1], ArrowLeft: () => buttons[now - 1], Home: () => buttons[0],
      End: () => buttons.at(-1), ArrowDown: () => beside(1), ArrowUp: () => beside(-1),
    }[event.key];
    if (event.key === "Escape" && open) show(open);
    else if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    const goal = next?.();
    if (!goal) return;
    buttons.forEach((it) => (it.tabIndex = it === goal ? 0 : -1));
    goal.focus();
  });
}
